"""At which size a detector looks at images, chosen from the sizes of images and labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fiftyone_promerge.training.recipes import Recipe

from .records import Record

_LEAST_OBJECT = 32  # pixels; the finest anchor of an FPN (Lin et al. 2017)
_MOST_ENLARGED = 2


class Sizes(NamedTuple):
    """The sizes in a dataset, in pixels.

    Attributes:
        short_side: the median of the images' short sides.
        objects: the middle half of the labels' sizes, each the root of its box's area: the lower
            quartile, the median and the upper quartile. They are relative to an image whose short
            side is `short_side`.
    """

    short_side: float
    objects: tuple[float, float, float]


def sizes_of(records: Iterable[Record]) -> Sizes:
    """Measures images and labels.

    Args:
        records: at least one of them with a mask.

    Returns:
        their sizes.
    """
    sides, relative = [], []
    for record in records:
        if record.instances:
            sides.append(min(record.width, record.height))
            boxes = np.array([mask.bbox for mask in record.instances])
            relative.append(np.sqrt(boxes[:, 2] * boxes[:, 3]) / sides[-1])
    short_side = float(np.median(sides))
    low, middle, high = np.quantile(np.concatenate(relative), (0.25, 0.5, 0.75)) * short_side
    return Sizes(short_side, (float(low), float(middle), float(high)))


def fitting_short_side(sizes: Sizes, recipe: Recipe) -> int:
    """The short side in prediction that suits a dataset.

    It is the images' own, but at most the recipe's. Where half of the labels would be smaller than
    32 pixels the images are enlarged for them, at most to twice the recipe's or their own; and an
    image is no smaller than the recipe's crop.

    Args:
        sizes: of the dataset.
        recipe: the largest short side, and the crop.

    Returns:
        a short side in pixels.
    """
    side = min(sizes.short_side, recipe.test_short_side)
    median = sizes.objects[1] * side / sizes.short_side
    most = min(recipe.test_short_side, sizes.short_side) * _MOST_ENLARGED
    side = min(max(side, side * _LEAST_OBJECT / median), most)
    return round(max(side, recipe.crop or 0))
