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

Kind = Literal["dataset", "results"]

_DESCRIPTION = "Instance masks without labels, by fiftyone-promerge"


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
    kind: Kind = "dataset",
) -> Summary:
    """Writes the records of a run as one COCO json; see `write_json`.

    Args:
        output: the file to write.
        run: what made the records, for the `info` of a dataset.
        records: gives the records from the first on at each call, in the same order.
        kind: as of `write_json`.

    Returns:
        counts over all records.
    """
    summary = summarise(records())
    info = {"run": run, "summary": summary.to_dict()}
    rows = _result_rows if kind == "results" else _annotation_rows
    write_json(output, info, lambda: _image_rows(records()), rows(records()), kind)
    return summary


def write_json(
    output: Path,
    info: dict[str, Any],
    images: Callable[[], Iterable[dict[str, Any]]],
    annotations: Iterable[dict[str, Any]],
    kind: Kind = "dataset",
) -> int:
    """Writes one COCO json, without holding it in memory, and then puts it in place.

    Args:
        output: the file to write; if anything fails, it stays as it was.
        info: what made the annotations, for the `info` of a dataset.
        images: gives the images.
        annotations: the annotations, in the form that `kind` asks for.
        kind: `dataset` for images, annotations and the one category; `results` for the list that
            `COCO.loadRes` takes, without boxes where there are masks, since it would take the
            box's area for the mask's.

    Returns:
        the number of annotations.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    draft = output.with_name(output.name + ".draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            write = file.write
            if kind == "results":
                count = _write_list(write, annotations)
            else:
                write('{"info": ' + json.dumps({"description": _DESCRIPTION, **info}))
                write(',\n"categories": ' + json.dumps([CATEGORY]))
                write(',\n"images": ')
                _write_list(write, images())
                write(',\n"annotations": ')
                count = _write_list(write, annotations)
                write("}\n")
        draft.replace(output)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return count


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


def _write_list(write: Callable[[str], object], rows: Iterable[dict[str, Any]]) -> int:
    """Writes one row per line; their number."""
    count = 0
    for row in rows:
        write((",\n" if count else "[\n") + json.dumps(row, allow_nan=False))
        count += 1
    write("\n]" if count else "[]")
    return count
