"""Masks at an image's own size against PIL."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from promerge_core.masks.resizing import resize_masks


@pytest.mark.parametrize(
    "size", [(480, 480), (640, 427), (24, 48), (33, 1), (1, 1), (12000, 3), (7, 901)]
)
def test_resizing_is_pils_bicubic_above_one_half(size):
    blobs = ndimage.gaussian_filter(np.random.default_rng(4).random((3, 48, 48)), (0, 3, 3)) > 0.5
    # Stripes shrunk to one half are grey all over: 127.5, rounded to 128.
    masks = np.concatenate([blobs, np.indices((1, 48, 48))[2] % 2 == 0])
    resized = resize_masks(masks, *size)
    assert resized.shape == (4, size[1], size[0])
    for mask, found in zip(masks, resized, strict=True):
        grey = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8), "L")
        expected = np.array(grey.resize(size, Image.Resampling.BICUBIC)) > 127
        assert np.array_equal(found, expected)


def test_resizing_no_masks_gives_none():
    assert resize_masks(np.zeros((0, 48, 48), bool), 30, 20).shape == (0, 20, 30)
