"""Instances of which only the box is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from promerge_core import Mask
from promerge_core.masks.mask import LABEL
from promerge_core.masks.rle import encode_rle


def box_mask(
    bbox: Sequence[float], height: int, width: int, label: str = LABEL, score: float = 1.0
) -> Mask:
    """The mask of all pixels in a box.

    Args:
        bbox: (x, y, width, height) in pixels, of any fractions.
        height: height of the image in pixels.
        width: width of the image in pixels.
        label: name of the class.
        score: the confidence, in [0, 1].

    Returns:
        the mask, with the box that was given; one that covers no pixel has area 0.
    """
    x, y, box_width, box_height = bbox
    left, right = (min(max(round(edge), 0), width) for edge in (x, x + box_width))
    top, bottom = (min(max(round(edge), 0), height) for edge in (y, y + box_height))
    pixels = np.zeros((1, height, width), bool)
    pixels[0, top:bottom, left:right] = True
    box = cast(tuple[float, float, float, float], tuple(bbox))
    return Mask(encode_rle(pixels)[0], box, int(pixels.sum()), score, label=label)
