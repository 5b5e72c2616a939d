"""One instance mask of an image."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from promerge_core.masks.mask import Mask, masks_from_arrays


def test_box_is_tight_and_area_is_the_number_of_pixels(filled):
    (mask,) = masks_from_arrays(filled[None], [0.5], [{"votes": 3.0}])
    rows, columns = np.flatnonzero(filled.any(1)), np.flatnonzero(filled.any(0))
    width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
    assert mask.bbox == (columns[0], rows[0], width, height)
    assert mask.area == filled.sum()
    assert (mask.score, mask.facts) == (0.5, {"votes": 3.0})
    assert np.array_equal(mask.to_array(), filled)
    assert [type(side) for side in mask.bbox] == [float] * 4
    assert type(mask.area) is int
    json.dumps(dataclasses.asdict(mask))


def test_empty_masks_are_left_out_with_their_scores():
    full = np.ones((4, 9), bool)
    arrays = np.stack([full, ~full, full])
    masks = masks_from_arrays(arrays, [0.1, 0.2, 0.3], [{}, {}, {}])
    assert [mask.score for mask in masks] == [0.1, 0.3]


def test_masks_cannot_be_changed():
    mask = Mask({"size": [1, 1], "counts": "01"}, (0.0, 0.0, 1.0, 1.0), 1, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        mask.score = 0.5


def test_a_crop_is_the_mask_inside_its_box(filled):
    (mask,) = masks_from_arrays(filled[None], [1.0], [{}])
    crop = mask.crop()
    rows, columns = np.flatnonzero(filled.any(1)), np.flatnonzero(filled.any(0))
    assert np.array_equal(crop, filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    assert crop.flags.c_contiguous
