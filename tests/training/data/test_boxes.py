"""Instances of which only the box is known."""

from __future__ import annotations

import numpy as np
import pytest

from fiftyone_promerge.training.data.boxes import box_mask


def test_the_mask_is_all_pixels_of_the_box_and_the_box_stays_as_it_was_given():
    mask = box_mask((2.4, 3.0, 5.2, 4.0), 12, 10, "cup", 0.5)
    expected = np.zeros((12, 10), bool)
    expected[3:7, 2:8] = True
    assert np.array_equal(mask.to_array(), expected)
    assert (mask.bbox, mask.area, mask.label, mask.score) == ((2.4, 3.0, 5.2, 4.0), 24, "cup", 0.5)


@pytest.mark.parametrize(
    ("bbox", "area"), [((-3, -3, 5, 5), 4), ((8, 8, 50, 50), 8), ((50, 50, 5, 5), 0)]
)
def test_what_lies_outside_of_the_image_is_cut_off(bbox, area):
    assert box_mask(bbox, 12, 10).area == area
