"""A photo with its masks painted over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def paint(image: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """A photo with its masks tinted, largest below, and outlined.

    Args:
        image: uint8 [height, width, 3].
        masks: bool arrays [height, width].

    Returns:
        uint8 [height, width, 3].
    """
    import matplotlib

    painted = image.astype(np.float32)
    colours = np.array(matplotlib.colormaps["tab10"].colors) * 255  # type: ignore[attr-defined]
    for index, mask in sorted(enumerate(masks), key=lambda item: -item[1].sum()):
        colour = colours[index % len(colours)]
        painted[mask] = 0.5 * painted[mask] + 0.5 * colour
        painted[_outline(mask, max(1, min(mask.shape) // 200))] = colour
    return painted.round().astype(np.uint8)


def _outline(mask: np.ndarray, width: int) -> np.ndarray:
    """The mask's pixels within `width` of its edge."""
    padded = np.pad(mask, width)
    inner = mask.copy()
    for shift in (-width, width):
        inner &= np.roll(padded, shift, 0)[width:-width, width:-width]
        inner &= np.roll(padded, shift, 1)[width:-width, width:-width]
    return mask & ~inner
