"""Masks drawn over their images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fiftyone_promerge.drawing import draw_masks

GREY = np.full((60, 80, 3), 100, np.uint8)


def box(top, bottom, left, right):
    mask = np.zeros(GREY.shape[:2], bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("count", [1, 5])
def test_the_picture_has_a_place_for_every_image(tmp_path, count):
    images = [Image.fromarray(GREY)] * count
    path = tmp_path / "new" / "picture.png"
    draw_masks(images, [[box(10, 30, 20, 50)]] * count, path)
    with Image.open(path) as picture:
        assert picture.width == 400 * min(count, 4)
        assert picture.height == 320 * (1 + (count > 4))
