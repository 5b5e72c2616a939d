"""A detector's small masks at the size of the image, without holding all of them at that size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from promerge_core import Mask
from promerge_core.masks.mask import masks_from_arrays

# 256 MiB in the float32 that masks are pasted in.
_MAX_PASTED_PIXELS = 2**26


def paste_in_parts(
    count: int,
    size: tuple[int, int],
    paste: Callable[[slice], tuple[np.ndarray, list[float]]],
) -> list[Mask]:
    """Pastes the masks of an image, only so many at a time as fit into a fixed memory.

    Args:
        count: masks of the image.
        size: height and width of the image, in pixels.
        paste: gives some of the masks at the size of the image, bool or uint8 [N, height, width],
            and their scores in [0, 1].

    Returns:
        the masks in their order; those without a pixel are left out.
    """
    masks: list[Mask] = []
    step = max(_MAX_PASTED_PIXELS // (size[0] * size[1]), 1)
    for start in range(0, count, step):
        pasted, scores = paste(slice(start, start + step))
        facts: list[dict[str, float]] = [{}] * len(pasted)
        masks += masks_from_arrays(pasted, scores, facts)
    return masks
