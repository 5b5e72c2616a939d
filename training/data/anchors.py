"""The sizes of anchors that suit a dataset's labels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fiftyone_promerge.training.recipes import Recipe

from .records import Record

_LEVELS = 5
_USUAL = 32.0  # pixels; the anchor of the finest level (Lin et al. 2017)
_SMALL = 0.1  # the quantile of sizes for which there must still be an anchor


def anchors_of(records: Iterable[Record], recipe: Recipe) -> tuple[float, ...]:
    """Sides of anchors, one per level of the FPN, each twice the one before.

    An object of median size gets an anchor of just its size. That anchor's level is the one whose
    usual anchor is the nearest, or a coarser one where the small objects need finer anchors.

    Args:
        records: images and their labels.
        recipe: says at which size images are shown to the detector, and which anchors it has
            where there are no labels.

    Returns:
        five sides in pixels of the image as the detector sees it, the finest level first.
    """
    sizes = [
        (mask.bbox[2] * mask.bbox[3]) ** 0.5 * _scale(record, recipe)
        for record in records
        for mask in record.instances
    ]
    if not sizes:
        return recipe.anchor_sizes
    small, median = np.quantile(sizes, (_SMALL, 0.5))
    octaves = round(float(np.log2(median / min(small, _USUAL))))
    level = min(max(octaves, 0), _LEVELS - 1)
    return tuple(round(float(median) * 2.0 ** (one - level), 1) for one in range(_LEVELS))


def _scale(record: Record, recipe: Recipe) -> float:
    """The size of an image as the detector sees it, relative to its own."""
    short_side, long_side = sorted((record.width, record.height))
    return min(recipe.test_short_side / short_side, recipe.long_side / long_side)
