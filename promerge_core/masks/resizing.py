"""Masks at an image's own size."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resize_masks(masks: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes masks to an image's own size: bicubic on 0/255, then > 127, as the official code.

    Args:
        masks: bool array [M, S, S].
        width: width of the result in pixels.
        height: height of the result in pixels.

    Returns:
        bool array [M, height, width].
    """
    resized = np.zeros((len(masks), height, width), dtype=bool)
    for index, mask in enumerate(masks):
        image = Image.fromarray(mask.astype(np.uint8) * 255)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        resized[index] = np.asarray(image) > 127
    return resized
