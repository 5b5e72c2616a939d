"""The size at which images are shown, chosen from those of images and labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fiftyone_promerge.training.data.records import Record, mask_from_rle
from fiftyone_promerge.training.data.sizes import Sizes, fitting_short_side, sizes_of
from fiftyone_promerge.training.recipes import RECIPES
from promerge_core.masks.rle import encode_rle

SMALL = dataclasses.replace(RECIPES["small"], test_short_side=640, crop=256)


def test_sizes_are_those_of_boxes_in_the_median_image():
    masks = np.zeros((3, 100, 200), bool)
    for mask, side in zip(masks, (10, 20, 40), strict=True):
        mask[:side, :side] = True
    record = Record("k", "/k", 100, 200, tuple(map(mask_from_rle, encode_rle(masks))))
    empty = dataclasses.replace(record, height=5000, masks=())
    assert sizes_of([record, empty]) == Sizes(100, pytest.approx((15, 20, 30)))


@pytest.mark.parametrize(
    ("own", "label", "side"),
    [
        (480, 80, 480),  # their own
        (2000, 400, 640),  # the recipe's
        (400, 20, 640),  # so that labels of 20 pixels have 32
        (400, 8, 800),  # no more than twice
        (2000, 10, 1280),  # no more than twice the recipe's
        (100, 50, 256),  # the crop's
    ],
)
def test_the_short_side_suits_images_and_labels(own, label, side):
    assert fitting_short_side(Sizes(own, (label / 2, label, label * 2)), SMALL) == side
