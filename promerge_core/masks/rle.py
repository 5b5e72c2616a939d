"""COCO run-length encoding of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask


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
        ValueError: the runs do not add up to the size.
    """
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    if isinstance(counts, list):
        if sum(counts) != height * width:
            raise ValueError(f"RLE runs add up to {sum(counts)}, not to {height} x {width} pixels")
        segmentation = coco_mask.frPyObjects(segmentation, height, width)
    elif isinstance(counts, str):
        segmentation = {"size": [height, width], "counts": counts.encode("ascii")}
    return coco_mask.decode(segmentation).view(bool)
