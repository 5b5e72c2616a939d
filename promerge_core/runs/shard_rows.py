"""The rows of shards: as they are written, and as they are read where they are whole."""

from __future__ import annotations

import math
from typing import Any

from pycocotools import mask as coco_mask

from promerge_core.errors import CocoError
from promerge_core.generator import ImageMasks
from promerge_core.masks.rle import compressed_rle

from .coco_json import ImageRow, image_row, skipped_row
from .sources import RunError


def shard_row(image_id: int, file_name: str, masks: ImageMasks) -> ImageRow:
    """The row of an image that was processed, with the facts of its masks.

    Args:
        image_id: COCO image id.
        file_name: the image's path relative to the run's root.
        masks: what was found in it.

    Returns:
        as `image_row`, and each of the `masks` has its `facts` (name -> number).
    """
    row = image_row(image_id, file_name, masks)
    for found, mask in zip(row["masks"], masks, strict=True):
        found["facts"] = mask.facts
    return row


def read_row(stored: dict[str, Any], shard: str) -> ImageRow:
    """A row of a Parquet file as the row that was written.

    Args:
        stored: the row as Arrow gives it, of the types of the shards' schema; where the masks were
            not read, `masks` is their number.
        shard: the file it stands in, for the error message.

    Returns:
        the row, with as many None as there are masks where they were not read.

    Raises:
        RunError: the row is damaged.
    """
    wrong = _wrong(stored)
    if wrong:
        raise damaged(shard, f"the row of {stored['file_name']!r:.80} has {wrong}")
    if stored["skipped"] is not None:
        return skipped_row(stored["id"], stored["file_name"], stored["skipped"])
    masks = stored["masks"]
    if isinstance(masks, int):
        masks = [None] * masks
    else:
        masks = [{**mask, "facts": dict(mask["facts"])} for mask in masks]
    names = ("id", "file_name", "width", "height", "reason")
    return {**{name: stored[name] for name in names}, "masks": masks}


def damaged(shard: str, why: str) -> RunError:
    """The error of a shard that cannot be read.

    Args:
        shard: the file.
        why: what is wrong in it.

    Returns:
        an error that says how to get the shard again.
    """
    return RunError(
        f"{shard} is damaged, {why}; delete it, and the command that began the run makes it again"
    )


def is_run(known: Any) -> bool:
    """Whether this is what `ShardFolder.begin` writes of a run."""
    if not isinstance(known, dict) or not isinstance(known.get("run"), dict):
        return False
    images, size = known.get("images"), known["run"].get("shard_size")
    counts = isinstance(images, int) and isinstance(size, int) and images >= 0 and size > 0
    return counts and isinstance(known.get("root"), str)


def _wrong(stored: dict[str, Any]) -> str | None:
    """What is wrong with a row, or None."""
    if stored["id"] is None or not stored["file_name"]:
        return "no id or no file_name"
    if stored["skipped"] is not None:
        return None
    size = [stored["height"], stored["width"]]
    if None in size or min(size) < 1 or stored["masks"] is None:
        return "no width, no height or no masks"
    masks = [] if isinstance(stored["masks"], int) else stored["masks"]
    return next(filter(None, (_wrong_mask(mask, size) for mask in masks)), None)


def _wrong_mask(mask: dict[str, Any] | None, size: list[int]) -> str | None:
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
    if coco_mask.toBbox(rle).tolist() != mask["bbox"] or coco_mask.area(rle) != mask["area"]:
        return "a mask whose bbox or area is not its own"
    if not all(_is_fact(name, value) for name, value in [*mask["facts"], ("score", mask["score"])]):
        return "a mask whose score or facts are not finite numbers"
    return None


def _is_fact(name: str, value: float | None) -> bool:
    return name.isidentifier() and value is not None and math.isfinite(value)
