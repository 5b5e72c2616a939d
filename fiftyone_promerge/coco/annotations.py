"""Labels of a dataset as COCO annotations.

A label keeps COCO's own numbers beside what FiftyOne needs, because neither can be had back from
its mask: `coco_bbox` (x, y, width, height in pixels), `area` (pixels) and `iscrowd` (0 or 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from pycocotools import mask as coco_mask

from fiftyone_promerge.fields import count_samples
from fiftyone_promerge.labels import LABEL, detection_to_mask
from promerge_core.errors import CocoError
from promerge_core.masks.rle import encode_rle

IMAGE_ID_FIELD = "coco_id"
"""Field of a sample, and attribute of a label, that holds its id in the COCO file."""

BATCH_SIZE = 250
"""Images read at a time: enough to hide the database's latency, few enough to stay small."""


class ImageSize(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def read_annotations(
    samples: foc.SampleCollection, field: str, *, with_masks: bool, classes: str | None = None
) -> list[list[dict[str, Any]]]:
    """Reads the labels of a field as COCO annotations, all at once.

    Args:
        samples: a dataset or view, small enough for its masks to be held in memory.
        field: a field of `fo.Detections`.
        with_masks: whether to read masks; without them there is no `segmentation`.
        classes: the attribute with the name of a label's class; None: all are `object`.

    Returns:
        per sample its annotations, in the label's order: `id` (from 1 within the sample),
        `label_id` (str), `class` (str), `tags` (with `classes` alone), `score` (float or None),
        `iscrowd` (0 or 1), `bbox` (COCO's own where the label has it; x, y, width, height in
        pixels), `segmentation` (COCO compressed RLE, absent where there is no mask) and
        `given_area` (COCO's own area or None).

    Raises:
        CocoError: an image's size is unknown, or a label has no class, or one that is no text.
    """
    names = ["id", "bounding_box", "confidence", "iscrowd", "area", "coco_bbox"]
    if with_masks:
        names += ["mask", "mask_path"]
    if classes is not None:
        if not classes.isidentifier():
            raise CocoError(f"{classes!r} is no name of an attribute that could hold a class")
        names += [classes, "tags"]
    paths = [f"{field}.detections.{name}" for name in names]
    filepaths, widths, heights, *columns = samples.values(
        ["filepath", "metadata.width", "metadata.height", *paths]
    )
    result = []
    for filepath, width, height, *attributes in zip(
        filepaths, widths, heights, *columns, strict=True
    ):
        labels = [
            dict(zip(names, values, strict=True))
            for values in zip(*(column or [] for column in attributes), strict=True)
        ]
        if labels and not (width and height):
            raise CocoError(
                f"The size of {filepath} is unknown: call compute_metadata() where the image can "
                "be read, or set its metadata"
            )
        size = ImageSize(width, height)
        found = [_label_annotation(label, size) | {"id": i} for i, label in enumerate(labels, 1)]
        for annotation, label in zip(found, labels, strict=True):
            annotation["class"] = LABEL if classes is None else label[classes]
            annotation["tags"] = label.get("tags") or []
            if not (isinstance(annotation["class"], str) and annotation["class"]):
                raise CocoError(
                    f"A label of '{field}' at {filepath} has no class: its {classes} is "
                    f"{annotation['class']!r}"
                )
        result.append(found)
    return result


def _label_annotation(label: dict[str, Any], size: ImageSize) -> dict[str, Any]:
    annotation = {
        "label_id": label["id"],
        "score": label["confidence"],
        "iscrowd": int(label["iscrowd"] or 0),
        "given_area": label["area"],
        "bbox": label["coco_bbox"] or _pixel_box(label["bounding_box"], size),
    }
    if label.get("mask") is not None or label.get("mask_path"):
        annotation["segmentation"] = _label_rle(label, size)
    return annotation


def _pixel_box(bounding_box: list[float], size: ImageSize) -> list[float]:
    """Relative to absolute; rounded to recover the number that was divided by the size.

    Otherwise an IoU of exactly 0.5 becomes one just below it.
    """
    x, y, width, height = bounding_box
    box = (x * size.width, y * size.height, width * size.width, height * size.height)
    return [round(side, 6) for side in box]


def _label_rle(label: dict[str, Any], size: ImageSize) -> dict[str, Any]:
    """The label's mask as compressed RLE of the whole image."""
    x, y, width, height = (round(side) for side in _pixel_box(label["bounding_box"], size))
    mask = label.get("mask")
    inside = x >= 0 and y >= 0 and x + width <= size.width and y + height <= size.height
    if mask is not None and mask.shape == (height, width) and inside:
        return _crop_rle(mask > 0, x, y, size)
    detection = fo.Detection(
        bounding_box=label["bounding_box"], mask=mask, mask_path=label["mask_path"]
    )
    return encode_rle(detection_to_mask(detection, *size)[None])[0]


def _crop_rle(crop: np.ndarray, x: int, y: int, size: ImageSize) -> dict[str, Any]:
    """RLE of an image that is empty but for `crop` (bool [h, w]) with its corner at (x, y).

    Encoding the crop's columns and not the whole image makes evaluation several times faster.
    """
    columns = np.zeros((crop.shape[1], size.height), dtype=bool)
    columns[:, y : y + crop.shape[0]] = crop.T
    edges = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False))
    ends = np.append(edges + x * size.height, size.width * size.height)
    counts = np.diff(ends, prepend=0)
    if counts[-1] == 0:
        counts = counts[:-1]
    rle = {"size": [size.height, size.width], "counts": counts.tolist()}
    return coco_mask.frPyObjects(rle, size.height, size.width)


def annotation_area(annotation: dict[str, Any]) -> float:
    """COCO's own area in pixels where there is one, else the mask's, else the box's."""
    if annotation["given_area"] is not None:
        return float(annotation["given_area"])
    return computed_area(annotation)


def computed_area(annotation: dict[str, Any]) -> float:
    """Area in pixels of an annotation's mask, or of its box where it has no mask."""
    if "segmentation" in annotation:
        return float(coco_mask.area(annotation["segmentation"]))
    return float(annotation["bbox"][2] * annotation["bbox"][3])


def batches(samples: foc.SampleCollection) -> Iterator[foc.SampleCollection]:
    """Splits samples into views of at most `BATCH_SIZE`, in order."""
    for start in range(0, count_samples(samples), BATCH_SIZE):
        yield samples[start : start + BATCH_SIZE]


def compute_sizes(
    samples: foc.SampleCollection, progress: bool | Callable[..., None] | None = None
) -> None:
    """Computes the metadata of the samples that have none; where it is not possible, none stays.

    Args:
        samples: a dataset or view of images.
        progress: as FiftyOne's `compute_metadata` takes it.
    """
    if samples.exists("metadata.width", False):
        samples.compute_metadata(progress=progress)
