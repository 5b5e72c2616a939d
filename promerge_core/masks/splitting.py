"""Masks of several touching objects, split where they narrow."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed


def split_necks(
    masks: np.ndarray, ratio: float, pixel: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Splits each mask at every neck that is narrow beside the parts it joins.

    Necks are found as watersheds of the distance to the mask's border (Vincent and Soille, 1991):
    two parts stay one where the neck between them is at least `ratio` times as wide as the
    narrower of them.

    Args:
        masks: bool array [M, h, w].
        ratio: in [0, 1]; 0 splits nothing.
        pixel: height and width of a pixel, in any unit.

    Returns:
        parts: bool array [N, h, w]; those of one mask follow each other.
        origin: int64 array [N], the mask that each is part of.
    """
    if ratio == 0 or len(masks) == 0:
        return masks, np.arange(len(masks))
    labels = [_parts(mask, ratio, pixel) for mask in masks]
    parts = [one == number for one in labels for number in range(1, int(one.max()) + 1)]
    origin = np.repeat(np.arange(len(masks)), [int(one.max()) for one in labels])
    return np.array(parts, dtype=bool).reshape(-1, *masks.shape[1:]), origin


def _parts(mask: np.ndarray, ratio: float, pixel: tuple[float, float]) -> np.ndarray:
    """Labels of the parts of one mask from 1 on, 0 elsewhere; int array [h, w]."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8)) or (None,)
    labels = np.zeros(mask.shape, np.int32)
    if box is None:
        return labels
    # The image ends at its border, and so does the object there.
    distance = ndimage.distance_transform_edt(np.pad(mask[box], 1), pixel)[1:-1, 1:-1]
    # A maximum of the logarithm that stands out by h stands out by the factor exp(h).
    height = np.log(np.maximum(distance, min(pixel) / 2))
    tops = reconstruction(height + np.log(ratio), height)
    peaks = label(local_maxima(tops.round(6)) & mask[box])
    labels[box] = watershed(-distance, peaks, mask=mask[box])
    return labels


def large_beside_others(masks: np.ndarray, ratio: float) -> np.ndarray:
    """Which masks are no specks beside the typical mask of their image.

    Half of the masked pixels lie in masks that are larger than the typical one, so that many
    specks do not change it.

    Args:
        masks: bool array [M, h, w].
        ratio: the smallest area, as a fraction of the typical one; 0 keeps all.

    Returns:
        bool array [M].
    """
    areas = masks.sum((1, 2))
    ascending = np.sort(areas)
    typical = ascending[np.searchsorted(ascending.cumsum(), areas.sum() / 2)] if len(areas) else 0
    return areas >= ratio * typical


def solidity(masks: np.ndarray) -> np.ndarray:
    """How much of its convex hull each mask fills: high for one object, low for a clump.

    Args:
        masks: bool array [M, h, w], none empty.

    Returns:
        float64 array [M] in (0, 1].
    """
    return np.array([regionprops(mask.astype(np.uint8))[0].solidity for mask in masks])
