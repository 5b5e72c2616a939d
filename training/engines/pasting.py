"""A detector's small masks at the size of the image, without holding all of them at that size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fiftyone_promerge.training.data.boxes import box_mask
from promerge_core import Mask
from promerge_core.masks.mask import masks_from_arrays

# 256 MiB in the float32 that masks are pasted in.
_MAX_PASTED_PIXELS = 2**26


def paste_in_parts(
    count: int,
    size: tuple[int, int],
    paste: Callable[[slice], tuple[np.ndarray, list[float], list[str]]],
) -> list[Mask]:
    """Pastes the masks of an image, only so many at a time as fit into a fixed memory.

    Args:
        count: masks of the image.
        size: height and width of the image, in pixels.
        paste: gives some of the masks at the size of the image, bool or uint8 [N, height, width],
            their scores in [0, 1] and the names of their classes.

    Returns:
        the masks in their order; those without a pixel are left out.
    """
    masks: list[Mask] = []
    step = max(_MAX_PASTED_PIXELS // (size[0] * size[1]), 1)
    for start in range(0, count, step):
        pasted, scores, labels = paste(slice(start, start + step))
        facts: list[dict[str, float]] = [{}] * len(pasted)
        masks += masks_from_arrays(pasted, scores, facts, labels)
    return masks


def boxes_as_masks(
    boxes: Sequence[Sequence[float]],
    scores: Sequence[float],
    size: tuple[int, int],
    labels: Sequence[str],
) -> list[Mask]:
    """What a detector without masks gives of an image: of each object all pixels in its box.

    Args:
        boxes: xyxy in pixels.
        scores: the confidences, in [0, 1].
        size: height and width of the image, in pixels.
        labels: name of each object's class.

    Returns:
        the masks in their order, each with the box as it was predicted; those without a pixel are
        left out.
    """
    masks = [
        box_mask((left, top, right - left, bottom - top), *size, label, score)
        for (left, top, right, bottom), score, label in zip(boxes, scores, labels, strict=True)
    ]
    return [mask for mask in masks if mask.area > 0]
