"""Anchors follow the sizes of the labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fiftyone_promerge.training import Record, mask_from_rle
from fiftyone_promerge.training.data.anchors import anchors_of
from fiftyone_promerge.training.recipes import SMOKE
from promerge_core.masks.rle import encode_rle

RECIPE = dataclasses.replace(SMOKE, test_short_side=400, long_side=1000)


def record(*boxes, height=400, width=400):
    """An image with rectangular masks of these heights and widths."""
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (rows, columns) in zip(masks, boxes, strict=True):
        mask[:rows, :columns] = True
    return Record("0", "0.png", height, width, tuple(map(mask_from_rle, encode_rle(masks))))


def test_the_median_object_has_an_anchor_of_its_size():
    anchors = anchors_of([record((20, 20), (50, 50)), record((100, 25), (51, 49))], RECIPE)
    assert anchors == (25.0, 50.0, 100.0, 200.0, 400.0)


def test_usual_objects_have_usual_anchors():
    assert anchors_of([record((64, 64))], RECIPE) == SMOKE.anchor_sizes


@pytest.mark.parametrize(("size", "finest"), [((10, 10), 10.0), ((40, 90), 30.0), ((320, 320), 40)])
def test_each_object_is_on_the_level_that_suits_it(size, finest):
    assert anchors_of([record(size)], RECIPE)[0] == finest


def test_small_objects_among_large_ones_have_anchors_too():
    boxes = [(12, 12)] * 2 + [(50, 50)] * 8
    assert anchors_of([record(*boxes)], RECIPE) == (12.5, 25.0, 50.0, 100.0, 200.0)


def test_images_count_at_the_size_they_are_shown_at():
    """The long side of the second may be no longer than 1000 pixels."""
    for height, width, scale in [(200, 300, 2), (400, 2000, 0.5)]:
        anchors = anchors_of([record((60, 60), height=height, width=width)], RECIPE)
        assert 60 * scale in anchors


def test_without_labels_they_are_the_recipes():
    assert anchors_of([record()], RECIPE) == RECIPE.anchor_sizes
