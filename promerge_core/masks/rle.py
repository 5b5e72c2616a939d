"""COCO run-length encoding of masks.

pycocotools believes what it reads: from wrong runs it makes wrong masks, or ends the process. So
every encoding from outside is checked here first, without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from promerge_core.errors import CocoError

_DIGIT, _SIGN, _MORE = 0b011111, 0b010000, 0b100000
"""Bits of a character, less 48: five of a number, the first of which is the sign of its last
character, and whether the number goes on."""

_MOST_CHARACTERS, _LOWEST, _HIGHEST = 7, -(2**29), 2**31 - 1
"""Longest number, and the numbers, that pycocotools reads as they were written."""


def encode_rle(masks: np.ndarray) -> list[dict[str, Any]]:
    """Encodes masks as COCO compressed RLE.

    Args:
        masks: bool or uint8 array [M, height, width].

    Returns:
        M dicts `{"size": [height, width], "counts": str}`, ready for JSON.
    """
    if len(masks) == 0:
        return []
    fortran = np.asfortranarray(np.moveaxis(masks.astype(np.uint8), 0, -1))
    return [
        {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}
        for rle in coco_mask.encode(fortran)
    ]


def decode_rle(segmentation: dict[str, Any]) -> np.ndarray:
    """Decodes one COCO RLE, compressed or not, to a bool array [height, width].

    Args:
        segmentation: `{"size": [height, width], "counts": str, bytes or list of int}`.

    Returns:
        bool array [height, width].

    Raises:
        CocoError: it is no RLE, or its runs do not add up to the size.
    """
    rle, _ = _checked(segmentation, "a mask")
    return coco_mask.decode(rle).view(bool)


def compressed_rle(segmentation: Any, what: str) -> dict[str, Any]:
    """Checks one COCO RLE, compressed or not, before pycocotools reads it.

    Args:
        segmentation: what should be `{"size": [height, width], "counts": str, bytes or list}`.
        what: whose it is, for the error message.

    Returns:
        compressed RLE that pycocotools can measure: only its first run may be empty.

    Raises:
        CocoError: it is no RLE, or its runs do not add up to the size.
    """
    rle, runs = _checked(segmentation, what)
    if not runs[1:].all():
        # Around a run of no pixels pycocotools draws a wrong box.
        return coco_mask.encode(coco_mask.decode(rle))
    return rle


def _checked(segmentation: Any, what: str) -> tuple[dict[str, Any], np.ndarray]:
    """The compressed RLE and its runs."""
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise CocoError(f"{what} has an RLE without size and counts")
    size, counts = segmentation["size"], segmentation["counts"]
    if not _is_size(size):
        raise CocoError(f"{what} has an RLE whose size is not two whole numbers above zero")
    runs = _listed_runs(counts) if isinstance(counts, list) else _written_runs(counts)
    if runs is None:
        raise CocoError(f"{what} has an RLE whose counts are no run lengths: wrong or cut off")
    pixels = size[0] * size[1]
    if not len(runs) or runs.min() < 0 or runs.max() > pixels or runs.sum() != pixels:
        raise CocoError(f"{what} has an RLE whose runs do not add up to its size, {list(size)}")
    if isinstance(counts, list):
        rle = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
        return rle, runs
    return {"size": list(size), "counts": counts}, runs


def _is_size(size: Any) -> bool:
    """Whether this is a height and a width of fewer pixels than pycocotools can count."""
    return (
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(type(side) is int and side > 0 for side in size)
        and size[0] * size[1] <= _HIGHEST
    )


def _listed_runs(counts: list[Any]) -> np.ndarray | None:
    """The runs of uncompressed RLE; None where something else is among them."""
    if set(map(type, counts)) - {int} or max(counts, default=0) > _HIGHEST:
        return None
    return np.array(counts, np.int64) if min(counts, default=0) >= 0 else None


def _written_runs(counts: Any) -> np.ndarray | None:
    """The runs of compressed RLE; None where it is none.

    A number is written five bits a character, the lowest first. From the fourth on, a run is
    written as what it is longer than the one before the last.
    """
    try:
        text = counts.encode("ascii") if isinstance(counts, str) else bytes(memoryview(counts))
    except (UnicodeEncodeError, TypeError):
        return None
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & _MORE:
        return None
    ends = np.flatnonzero(codes < _MORE)
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > _MOST_CHARACTERS:
        return None
    starts = ends - lengths + 1
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((codes & _DIGIT) << 5 * places, starts)
    runs -= (codes[ends] & _SIGN) << 5 * lengths - 4
    if runs.min() < _LOWEST or runs.max() > _HIGHEST:
        return None
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs
