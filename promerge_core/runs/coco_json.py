"""The record of one image of a run, ready for JSON, and the COCO files that records make."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from promerge_core.generator import ImageMasks
from promerge_core.images import SkippedImage

from .summary import Summary

CATEGORY = {"id": 1, "name": "object", "supercategory": "object"}

Record = dict[str, Any]


def image_record(image_id: int, file_name: str, masks: ImageMasks) -> Record:
    """The record of an image that was processed."""
    return {
        "id": image_id,
        "file_name": file_name,
        "width": masks.width,
        "height": masks.height,
        "reason": masks.reason,
        "masks": [
            {
                "segmentation": mask.segmentation,
                "bbox": mask.bbox,
                "area": mask.area,
                "score": mask.score,
            }
            for mask in masks
        ],
    }


def skipped_record(image_id: int, file_name: str, why: str) -> Record:
    """The record of an image that cannot be read."""
    return {"id": image_id, "file_name": file_name, "skipped": why}


def summarise(records: Iterable[Record]) -> Summary:
    """Counts over all records."""
    summary = Summary()
    for record in records:
        if "skipped" in record:
            summary.skip(SkippedImage(record["file_name"], record["skipped"]))
        else:
            summary.count(len(record["masks"]), record["reason"])
    return summary


def write_coco(
    output: Path,
    run: dict[str, Any],
    records: Callable[[], Iterable[Record]],
    kind: Literal["dataset", "results"] = "dataset",
) -> Summary:
    """Writes records as one COCO json, without holding it in memory, and puts it in place.

    Args:
        output: the file to write.
        run: what made the records, for the `info` of a dataset.
        records: gives the records anew at each call, in the same order.
        kind: `dataset` for images, annotations and the one category; `results` for the list that
            `COCO.loadRes` takes, without boxes, since it would take the box's area for the mask's.

    Returns:
        counts over all records.
    """
    summary = summarise(records())
    draft = output.with_name(output.name + ".draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            if kind == "results":
                _write_list(file.write, _result_rows(records()))
            else:
                _write_dataset(file.write, {"run": run, "summary": summary.to_dict()}, records)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(output)
    return summary


def _write_dataset(
    write: Callable[[str], object],
    made_by: dict[str, Any],
    records: Callable[[], Iterable[Record]],
) -> None:
    info = {"description": "Instance masks without labels, by fiftyone-promerge", **made_by}
    write('{"info": ' + json.dumps(info))
    write(',\n"categories": ' + json.dumps([CATEGORY]))
    write(',\n"images": ')
    _write_list(write, _image_rows(records()))
    write(',\n"annotations": ')
    _write_list(write, _annotation_rows(records()))
    write("}\n")


def _image_rows(records: Iterable[Record]) -> Iterator[Record]:
    names = ("id", "file_name", "width", "height")
    for record in records:
        if "skipped" not in record:
            yield {name: record[name] for name in names}


def _annotation_rows(records: Iterable[Record]) -> Iterator[Record]:
    numbers = itertools.count(1)
    names = ("segmentation", "bbox", "area", "score")
    for record in records:
        for mask in record.get("masks", ()):
            keys = {"id": next(numbers), "image_id": record["id"], "category_id": CATEGORY["id"]}
            yield {**keys, "iscrowd": 0, **{name: mask[name] for name in names}}


def _result_rows(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        for mask in record.get("masks", ()):
            keys = {"image_id": record["id"], "category_id": CATEGORY["id"]}
            yield {**keys, "segmentation": mask["segmentation"], "score": mask["score"]}


def _write_list(write: Callable[[str], object], rows: Iterable[Record]) -> None:
    separator = "[\n"
    for row in rows:
        write(separator + json.dumps(row))
        separator = ",\n"
    write("[]" if separator == "[\n" else "\n]")
