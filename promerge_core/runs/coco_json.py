"""The row of one image of a run, ready for JSON, and the writer of all COCO files."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pycocotools import mask as coco_mask

from promerge_core.errors import CocoError
from promerge_core.images import MOST_PIXELS, SkippedImage
from promerge_core.masks.mask import FACTS
from promerge_core.masks.rle import compressed_rle
from promerge_core.stages.no_masks import NoMasks

from .locks import check_regular, hold
from .summary import Summary

if TYPE_CHECKING:
    from promerge_core.generator import ImageMasks

CATEGORY = {"id": 1, "name": "object", "supercategory": "object"}

ImageRow = dict[str, Any]
"""What a run found in one image, or why it skipped it: see `image_row` and `skipped_row`."""

Kind = Literal["dataset", "results"]

DESCRIPTION = "Instance masks without labels, by fiftyone-promerge"


def image_row(image_id: int, file_name: str, masks: ImageMasks) -> ImageRow:
    """The row of an image that was processed.

    Args:
        image_id: COCO image id.
        file_name: the image's name in the run.
        masks: what was found in it.

    Returns:
        `id`, `file_name`, `width` and `height` in pixels, `reason` (why there are no masks, or
        None) and `masks`: a list of `segmentation` (COCO compressed RLE), `bbox` (x, y, width,
        height in pixels), `area` in pixels and `score` in [0, 1].
    """
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


def skipped_row(image_id: int, file_name: str, why: str) -> ImageRow:
    """The row of an image that cannot be read.

    Args:
        image_id: COCO image id.
        file_name: the image's name in the run.
        why: why it cannot be read, in one sentence.

    Returns:
        `id`, `file_name` and `skipped`, which is `why`.
    """
    return {"id": image_id, "file_name": file_name, "skipped": why}


def row_fault(row: Any) -> str | None:
    """What is wrong with a row that was read, or None.

    Args:
        row: what should be as `image_row` or `skipped_row` give it; the masks may have facts, or
            be a number where they were not read.

    Returns:
        what it has or lacks, to stand behind "it has".
    """
    try:
        return _fault(row)
    except (TypeError, KeyError, ValueError, AttributeError):
        return "not the parts of a row"


def _fault(row: Any) -> str | None:
    if type(row["id"]) is not int or not isinstance(row["file_name"], str) or not row["file_name"]:
        return "no id or no file_name"
    if row.get("skipped") is not None:
        return None if isinstance(row["skipped"], str) else "a reason for skipping it that is none"
    size = [row["height"], row["width"]]
    if any(type(side) is not int for side in size) or min(size) < 1 or row["masks"] is None:
        return "no width, no height or no masks"
    if math.prod(size) > MOST_PIXELS:
        return "more pixels than any image that is read"
    if row["reason"] is not None and row["reason"] not in list(NoMasks):
        return "a reason that no method gives"
    masks = [] if isinstance(row["masks"], int) else row["masks"]
    return next(filter(None, (_mask_fault(mask, size) for mask in masks)), None)


def _mask_fault(mask: dict[str, Any] | None, size: list[int]) -> str | None:
    """What is wrong with a mask, or None."""
    if mask is None or None in mask.values():
        return "a mask that is not whole"
    try:
        rle = compressed_rle(mask["segmentation"], "it")
    except CocoError:
        return "a mask whose segmentation is no RLE"
    if rle["size"] != size:
        return "a mask of another size"
    # Equal to neither: NaN, and null.
    if coco_mask.toBbox(rle).tolist() != list(mask["bbox"]) or coco_mask.area(rle) != mask["area"]:
        return "a mask whose bbox or area is not its own"
    facts = [*mask.get("facts", ()), ("score", mask["score"])]
    if not all(_is_fact(name, value) for name, value in facts):
        return "a mask whose score or facts are not known ones and finite"
    return None


def _is_fact(name: str, value: float | None) -> bool:
    known = name == "score" or name in FACTS
    return known and value is not None and math.isfinite(value)


def summarise(rows: Iterable[ImageRow]) -> Summary:
    """Counts over all rows."""
    summary = Summary()
    for row in rows:
        if "skipped" in row:
            summary.skip(SkippedImage(row["file_name"], row["skipped"]))
        else:
            summary.count(len(row["masks"]), row["reason"])
    return summary


def write_coco(
    output: Path,
    run: dict[str, Any],
    rows: Callable[[], Iterable[ImageRow]],
    kind: Kind = "dataset",
) -> Summary:
    """Writes the rows of a run as one COCO json, without holding it in memory.

    Args:
        output: the file to write; if anything fails, it stays as it was.
        run: what made the rows, for the `info` of a dataset.
        rows: gives the rows from the first on at each call, in the same order.
        kind: as for `write_json`.

    Returns:
        counts over all rows.

    Raises:
        CocoError: see `write_json`.
        RunError: see `write_json`.
    """
    summary = summarise(rows())
    info = {"run": run, "summary": summary.to_dict()}
    annotations = _results if kind == "results" else _annotations
    write_json(output, info, _images(rows()), annotations(rows()), kind)
    return summary


def write_json(
    output: Path,
    info: dict[str, Any],
    images: Iterable[dict[str, Any]],
    annotations: Iterable[dict[str, Any]],
    kind: Kind = "dataset",
) -> int:
    """Writes one COCO json, without holding it in memory, and then puts it in place.

    Args:
        output: the file to write; if anything fails, it stays as it was. A link stands for the
            file that it leads to. It is locked meanwhile.
        info: what made the annotations, for the `info` of a dataset.
        images: the images of a dataset, in any order; not read for `results`.
        annotations: the annotations, in the form that `kind` asks for.
        kind: `dataset` for images, annotations and the one category; `results` for the list that
            `COCO.loadRes` takes, without boxes where there are masks, since it would take the
            box's area for the mask's.

    Returns:
        the number of annotations.

    Raises:
        CocoError: two images or two annotations have the same id.
        RunError: another process is writing the output, or it is no regular file.
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    output = Path(os.path.realpath(output))
    check_regular(output)
    draft = output.with_name(output.name + ".promerge-draft")
    with hold(output):
        # What a killed run left; opened again, it might be a link or a FIFO by now.
        draft.unlink(missing_ok=True)
        try:
            with draft.open("x", encoding="utf-8") as file:
                count = _write(file.write, info, images, annotations, kind)
            draft.replace(output)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return count


def _write(
    write: Callable[[str], object],
    info: dict[str, Any],
    images: Iterable[dict[str, Any]],
    annotations: Iterable[dict[str, Any]],
    kind: Kind,
) -> int:
    """Writes the text of a COCO json; the number of annotations."""
    annotations = _with_own_ids(annotations, "annotations")
    if kind == "results":
        return _write_list(write, annotations)
    write('{"info": ' + json.dumps({"description": DESCRIPTION, **info}))
    write(',\n"categories": ' + json.dumps([CATEGORY]))
    write(',\n"images": ')
    _write_list(write, _with_own_ids(images, "images"))
    write(',\n"annotations": ')
    count = _write_list(write, annotations)
    write("}\n")
    return count


def _with_own_ids(items: Iterable[dict[str, Any]], what: str) -> Iterator[dict[str, Any]]:
    """The items as they are; CocoError where two have the same id. Results have none."""
    # Ids mostly come as 1, 2, 3, ...; only others need memory.
    last, others = 0, set()
    for item in items:
        if "id" in item:
            number = item["id"]
            if number in others or (isinstance(number, int) and 1 <= number <= last):
                raise CocoError(f"two {what} have the id {number}; in a COCO json each has its own")
            if number == last + 1:
                last = number
            else:
                others.add(number)
        yield item


def _images(rows: Iterable[ImageRow]) -> Iterator[dict[str, Any]]:
    names = ("id", "file_name", "width", "height")
    for row in rows:
        if "skipped" not in row:
            yield {name: row[name] for name in names}


def _annotations(rows: Iterable[ImageRow]) -> Iterator[dict[str, Any]]:
    numbers = itertools.count(1)
    names = ("segmentation", "bbox", "area", "score")
    for row in rows:
        for mask in row.get("masks", ()):
            keys = {"id": next(numbers), "image_id": row["id"], "category_id": CATEGORY["id"]}
            yield {**keys, "iscrowd": 0, **{name: mask[name] for name in names}}


def _results(rows: Iterable[ImageRow]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for mask in row.get("masks", ()):
            keys = {"image_id": row["id"], "category_id": CATEGORY["id"]}
            yield {**keys, "segmentation": mask["segmentation"], "score": mask["score"]}


def _write_list(write: Callable[[str], object], items: Iterable[dict[str, Any]]) -> int:
    """Writes one item per line; their number."""
    count = 0
    for item in items:
        write((",\n" if count else "[\n") + json.dumps(item, allow_nan=False))
        count += 1
    write("\n]" if count else "[]")
    return count
