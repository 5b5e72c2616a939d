"""COCO AP and AR on records: of a detector while it is trained, and of what a run came to."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fiftyone_promerge.training.data.records import Record, RecordFile
from promerge_core import Mask

IouType = Literal["segm", "bbox"]
"""What pycocotools compares: masks, or boxes."""

_NUMBERS = {"AP": 0, "AP50": 1, "AR100": 8}  # where pycocotools has them


def precision_of_parts(
    records: RecordFile, parts: Iterable[Mapping[int, Sequence[Mask]]]
) -> dict[str, float]:
    """AP of what several processes found, each in its own part of the images.

    Args:
        records: the labels of all images.
        parts: for each process the predicted masks by the image's position in `records`; images
            that nobody looked at do not count.

    Returns:
        see `average_precision`.
    """
    found = {position: masks for part in parts for position, masks in part.items()}
    positions = sorted(found)
    return average_precision(
        [records[position] for position in positions], [found[position] for position in positions]
    )


def average_precision(
    records: Sequence[Record], found: Sequence[Sequence[Mask]], iou_type: IouType = "segm"
) -> dict[str, float]:
    """Class-agnostic AP and AR, as pycocotools counts them.

    Args:
        records: the labels of some images.
        found: for each image the predicted masks.
        iou_type: whether to compare masks or boxes.

    Returns:
        `AP` (over IoU 0.5 to 0.95), `AP50` and `AR100` (100 predictions per image), in [0, 1], or
        -1 where there is no label to be found.
    """
    predictions = [
        {
            "image_id": number,
            "category_id": 1,
            "score": mask.score,
            **_shape(mask, iou_type),
        }
        for number, masks in enumerate(found, 1)
        for mask in masks
    ]
    if not predictions:
        return dict.fromkeys(_NUMBERS, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = _coco(records)
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


def _coco(records: Sequence[Record]) -> COCO:
    annotations = [
        {
            "id": 0,
            "image_id": number,
            "category_id": 1,
            "segmentation": mask.segmentation,
            "area": mask.area,
            "bbox": list(mask.bbox),
            "iscrowd": int(is_crowd),
        }
        for number, record in enumerate(records, 1)
        for is_crowd, masks in enumerate((record.masks, record.crowds))
        for mask in masks
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
        "categories": [{"id": 1, "name": "object"}],
    }
    coco.createIndex()
    return coco
