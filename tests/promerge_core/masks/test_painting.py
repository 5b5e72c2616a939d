"""Masks painted over their images."""

from __future__ import annotations

import numpy as np

from promerge_core.masks.painting import paint

GREY = np.full((60, 80, 3), 100, np.uint8)


def box(top, bottom, left, right):
    mask = np.zeros(GREY.shape[:2], bool)
    mask[top:bottom, left:right] = True
    return mask


def test_masks_are_tinted_and_the_rest_is_left_alone():
    mask = box(10, 30, 20, 50)
    painted = paint(GREY, [mask])
    assert np.array_equal(painted[~mask], GREY[~mask])
    assert (painted[mask] != 100).any(axis=1).all()
    outline, inside = painted[10, 20], painted[20, 35]
    assert np.allclose(inside, (outline.astype(float) + 100) / 2, atol=1)


def test_a_small_mask_is_seen_above_a_large_one():
    small, large = box(20, 30, 30, 40), box(5, 55, 5, 75)
    assert np.array_equal(paint(GREY, [small, large])[25, 30], paint(GREY, [small])[25, 30])


def test_an_image_without_masks_stays_as_it_is():
    assert np.array_equal(paint(GREY, []), GREY)
