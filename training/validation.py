"""COCO AP and AR on records: of a detector while it is trained, and of what a run came to."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, NO_CLASS, Labelling
from fiftyone_promerge.training.data.records import Record, RecordFile
from promerge_core import Mask

IouType = Literal["segm", "bbox"]
"""What pycocotools compares: masks, or boxes."""

_NUMBERS = {"AP": 0, "AP50": 1, "AR100": 8}  # where pycocotools has them


def precision_of_parts(
    records: RecordFile,
    parts: Iterable[Mapping[int, Sequence[Mask]]],
    labelling: Labelling = CLASS_AGNOSTIC,
) -> dict[str, float]:
    """AP of what several processes found, each in its own part of the images.

    Args:
        records: the labels of all images.
        parts: for each process the predicted masks by the image's position in `records`; images
            that nobody looked at do not count.
        labelling: the classes.

    Returns:
        see `average_precision`; boxes are compared where there is one without a mask.
    """
    found = {position: masks for part in parts for position, masks in part.items()}
    positions = sorted(found)
    truth = [records[position] for position in positions]
    masks = [found[position] for position in positions]
    return average_precision(truth, masks, comparable(truth)[0], labelling)


def comparable(records: Iterable[Record]) -> tuple[IouType, ...]:
    """What can be compared with labels: masks where each has one, and boxes."""
    return ("bbox",) if any(record.boxes for record in records) else ("segm", "bbox")


def average_precision(
    records: Sequence[Record],
    found: Sequence[Sequence[Mask]],
    iou_type: IouType = "segm",
    labelling: Labelling = CLASS_AGNOSTIC,
) -> dict[str, float]:
    """AP and AR, as pycocotools counts them.

    Args:
        records: the labels of some images.
        found: for each image the predicted masks.
        iou_type: whether to compare masks or boxes.
        labelling: the classes, of which the numbers are the means. What is found where a label has
            no class counts neither as right nor as wrong.

    Returns:
        `AP` (over IoU 0.5 to 0.95), `AP50` and `AR100` (100 predictions per image), in [0, 1], or
        -1 where there is no label to be found.
    """
    predictions = [
        {
            "image_id": number,
            "category_id": category,
            "score": mask.score,
            **_shape(mask, iou_type),
        }
        for number, masks in enumerate(found, 1)
        for mask, category in zip(masks, labelling.numbers(masks).tolist(), strict=True)
    ]
    if not predictions:
        return dict.fromkeys(_NUMBERS, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = _coco(records, labelling)
        evaluator = COCOeval(truth, truth.loadRes(predictions), iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return {name: float(evaluator.stats[place]) for name, place in _NUMBERS.items()}


def _shape(mask: Mask, iou_type: IouType) -> dict[str, Any]:
    """What is compared of a prediction."""
    if iou_type == "bbox":
        return {"bbox": list(mask.bbox)}
    return {"segmentation": mask.segmentation}


def _coco(records: Sequence[Record], labelling: Labelling) -> COCO:
    categories = list(range(1, len(labelling.names) + 1))
    annotations = [
        {
            "id": 0,
            "image_id": number,
            "category_id": one,
            "segmentation": mask.segmentation,
            "area": mask.area,
            "bbox": list(mask.bbox),
            "iscrowd": int(is_crowd or category == NO_CLASS),
        }
        for number, record in enumerate(records, 1)
        for is_crowd, masks in enumerate((record.instances, record.crowds))
        for mask, category in zip(masks, labelling.numbers(masks).tolist(), strict=True)
        for one in (categories if category == NO_CLASS else [category])
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number  # 0 would count as no match
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [
            {"id": number, "height": record.height, "width": record.width}
            for number, record in enumerate(records, 1)
        ],
        "annotations": annotations,
        "categories": [{"id": one} for one in categories],
    }
    coco.createIndex()
    return coco
