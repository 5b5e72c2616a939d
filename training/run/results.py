"""What a run came to: its labels and its detectors on the validation images, in one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.data.records import Record, RecordFile
from fiftyone_promerge.training.data.samples import RecordImages
from fiftyone_promerge.training.engines.base import Detector
from fiftyone_promerge.training.loading import load
from fiftyone_promerge.training.validation import IouType, average_precision, comparable
from promerge_core import Mask
from promerge_core.backbones.device import resolve_device

from .folder import DETECTOR, RECORDS, RESULTS, SETTINGS, round_folder, validation_images
from .settings import Settings

_LABELS = "labels of round 0"
_SHAPES: dict[IouType, str] = {"segm": "masks", "bbox": "boxes"}


class Truth(NamedTuple):
    """The ground truth of some images.

    Attributes:
        records: by `Record.key`; images that nobody labelled are not there.
        with_masks: whether masks can be compared, not boxes alone.
    """

    records: Mapping[str, Record]
    with_masks: bool


def write_results(output_dir: str | Path, truth: Truth | None = None) -> None:
    """Measures the labels and the detector of each round, and writes the table to the folder.

    They are measured on the validation images of the first round that can be read. The detectors
    are those that were written, and predict image by image. `results.json` has `rows`, each with
    `round` (from 0), `of` (labels or detector), `against` (the labels of round 0, or ground truth),
    `shapes` (masks or boxes), `images`, and `AP`, `AP50` and `AR100` in [0, 1], or -1 where there
    is no object to be found.

    Args:
        output_dir: folder of a run that is done.
        truth: ground truth of these images, if there is any.

    Raises:
        PromergeError: a detector or the labels cannot be read.
    """
    folder, rows = Path(output_dir), []
    labels = validation_images(folder)
    settings = Settings.load(folder / SETTINGS)
    labelling = settings.labelling
    references = [_Reference(_LABELS, labels, comparable(labels.values()))]
    if truth is not None:
        references.append(_true(truth, labels))
    device = resolve_device()
    for number in range(settings.options["rounds"]):
        here = round_folder(folder, number)
        records = RecordFile(here / RECORDS)
        found = _predict(load(here / DETECTOR, device), records, [*labels], number)
        given = {position: records[position].instances for position in found}
        for of, masks in (("labels", given), ("detector", found)):
            first = 1 if number == 0 and of == "labels" else 0  # not against themselves
            for reference in references[first:]:
                rows += [
                    {"round": number, "of": of, **row} for row in _rows(reference, masks, labelling)
                ]
    partial = (folder / RESULTS).with_suffix(".partial")
    partial.write_text(json.dumps({"rows": rows}, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / RESULTS)


class _Reference(NamedTuple):
    """What masks are measured against, by the image's position in the records."""

    name: str
    records: Mapping[int, Record]
    iou_types: Sequence[IouType]


def _true(truth: Truth, images: Mapping[int, Record]) -> _Reference:
    """The ground truth of the images that have any."""
    records = {
        position: truth.records[image.key]
        for position, image in images.items()
        if image.key in truth.records
    }
    return _Reference("ground truth", records, ("segm", "bbox") if truth.with_masks else ("bbox",))


def _rows(
    reference: _Reference, masks: Mapping[int, Sequence[Mask]], labelling: Labelling
) -> Iterator[dict[str, Any]]:
    """One row for masks and one for boxes, on the images that are in both."""
    positions = [position for position in masks if position in reference.records]
    if not positions:
        return
    records = [reference.records[position] for position in positions]
    for iou_type in reference.iou_types:
        found = [masks[position] for position in positions]
        measured = average_precision(records, found, iou_type, labelling)
        about = {"against": reference.name, "shapes": _SHAPES[iou_type], "images": len(positions)}
        yield {**about, **measured}


def _predict(
    detector: Detector, records: RecordFile, positions: Sequence[int], number: int
) -> dict[int, list[Mask]]:
    """What a detector finds in each image that can be read."""
    images = RecordImages(records, positions)
    shown = tqdm(range(len(images)), f"round {number} on the validation images", unit="image")
    read = (images[index] for index in shown)
    return {
        position: detector.predict([pixels])[0] for position, pixels in read if pixels is not None
    }
