"""Ground truth of a dataset, as trainings measure their detectors against it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from fiftyone_promerge.coco.annotations import batches, computed_area, read_annotations
from fiftyone_promerge.training import Record, Truth, mask_from_rle
from promerge_core import Mask


def read_truth(
    dataset: fo.Dataset, field: str, keys: Sequence[str], classes: str | None = None
) -> Truth | None:
    """Reads the ground truth of some images.

    Args:
        dataset: the dataset.
        field: a field of `fo.Detections`.
        keys: ids of the samples.
        classes: the attribute with the name of a label's class; None: all are of one class.

    Returns:
        the labels of the samples whose field is not empty (no detections at all say that there is
        nothing in the image), with masks where every label has one; None where no sample has any.

    Raises:
        CocoError: an image's size is unknown, or a label has no class.
    """
    records: dict[str, Record] = {}
    with_masks = True
    for batch in batches(dataset.select(list(keys)).exists(field)):
        columns = batch.values(["id", "filepath", "metadata.height", "metadata.width"])
        annotations = read_annotations(batch, field, with_masks=True, classes=classes)
        for key, path, height, width, labels in zip(*columns, annotations, strict=True):
            with_masks &= all("segmentation" in label for label in labels)
            masks, crowds = (
                tuple(_shape(label) for label in labels if label["iscrowd"] == is_crowd)
                for is_crowd in (0, 1)
            )
            records[key] = Record(key, path, height or 0, width or 0, masks, crowds)
    return Truth(records, with_masks) if records else None


def _shape(label: dict[str, Any]) -> Mask:
    """A label as a mask with its own box; one without pixels has the box alone."""
    box = tuple(label["bbox"])
    if "segmentation" not in label:
        return Mask({}, box, round(computed_area(label)), 1.0, label=label["class"])
    mask = mask_from_rle(label["segmentation"])
    return dataclasses.replace(mask, bbox=box, label=label["class"])
