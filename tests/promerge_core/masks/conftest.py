"""Masks that the tests of this folder share."""

from __future__ import annotations

import numpy as np
import pytest


def pixel(height, width, y, x):
    mask = np.zeros((height, width), bool)
    mask[y, x] = True
    return mask


def border(height, width):
    mask = np.zeros((height, width), bool)
    mask[0] = mask[-1] = mask[:, 0] = mask[:, -1] = True
    return mask


MASKS = {
    "first pixel": pixel(5, 7, 0, 0),
    "last pixel": pixel(5, 7, 4, 6),
    "pixel inside": pixel(6, 4, 3, 2),
    "full": np.ones((4, 9), bool),
    "empty": np.zeros((4, 9), bool),
    "border": border(7, 5),
    "one pixel image": np.ones((1, 1), bool),
    "row": np.array([[0, 1, 1, 0, 1]], bool),
    "column": np.array([[1], [0], [1]], bool),
    "long": np.random.default_rng(0).random((1, 12000)) < 0.5,
    "odd": np.random.default_rng(1).random((333, 477)) < 0.5,
}


@pytest.fixture(params=MASKS)
def drawn(request):
    """Each of the masks, a bool array [height, width]."""
    return MASKS[request.param]


@pytest.fixture(params=sorted(set(MASKS) - {"empty"}))
def filled(request):
    """Each of the masks that are not empty."""
    return MASKS[request.param]
