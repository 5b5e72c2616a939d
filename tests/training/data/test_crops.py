"""Crops: where they are cut, what is in them, and which instances are left."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from fiftyone_promerge.training.data.crops import (
    Window,
    choose_window,
    crop_record,
    touches_edge,
)
from fiftyone_promerge.training.data.records import (
    Record,
    RecordFile,
    mask_from_rle,
    write_records,
)
from fiftyone_promerge.training.data.samples import TrainingSamples
from promerge_core.masks.rle import encode_rle

BOXES = [(10, 10, 40, 30), (100, 60, 20, 20), (150, 80, 50, 20)]


@pytest.fixture
def drawn():
    """A photo of 200 x 100 pixels with three boxes, and its record."""
    masks = np.zeros((3, 100, 200), bool)
    for mask, (x, y, width, height) in zip(masks, BOXES, strict=True):
        mask[y : y + height, x : x + width] = True
    pixels = np.full((100, 200, 3), 20, np.uint8)
    pixels[masks.any(0)] = 220
    record = Record("k", "/k.png", 100, 200, tuple(map(mask_from_rle, encode_rle(masks))))
    return Image.fromarray(pixels), record


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_a_crop_shows_its_part_of_the_image_and_of_the_masks(drawn, scale):
    picture, record = drawn
    image, masks, _ = crop_record(picture, record, Window(scale, 0, 0, 96))
    assert image.shape == (3, 96, 96) and masks.shape[1:] == (96, 96)
    x, y, width, height = (round(value * scale) for value in BOXES[0])
    inside = masks[0, y + 1 : y + height - 1, x + 1 : x + width - 1]
    assert inside.all() and masks[0].sum() == pytest.approx(width * height, rel=0.1)
    bright = image.float().mean(0) > 120
    resized = int(100 * scale)
    shown = torch.zeros(96, 96, dtype=torch.bool)
    shown[: min(resized, 96)] = True
    assert (bright & shown).sum() >= 0.9 * masks.any(0).sum()


def test_beside_the_image_is_the_mean_colour(drawn):
    picture, record = drawn
    image, masks, _ = crop_record(picture, record, Window(0.5, -14, -20, 128))
    assert image[:, 0, 0].tolist() == image[:, -1, -1].tolist() == [124, 116, 104]
    assert image[:, 20, 14].tolist() == [20, 20, 20]  # where the image begins
    assert masks[0].nonzero()[0].tolist() == [20 + 5, 14 + 5]
    assert len(masks) == 3


def test_instances_of_which_little_is_left_are_left_out(drawn):
    picture, record = drawn

    def left(x):
        return len(crop_record(picture, record, Window(1.0, x, 0, 96))[1])

    # The second box reaches from 100 to 120; a fifth of it is four pixels.
    assert [left(x) for x in (3, 7, 8, 9)] == [1, 1, 2, 2]
    tiny = dataclasses.replace(record, masks=record.masks[1:2])
    assert len(crop_record(picture, tiny, Window(0.25, -20, -20, 96))[1]) == 1
    assert len(crop_record(picture, tiny, Window(0.15, -20, -20, 96))[1]) == 0


def test_a_window_has_a_scale_in_range_and_lies_in_the_image(drawn):
    _, record = drawn
    rng = np.random.default_rng(0)
    windows = [choose_window(record, 64, 200, (0.5, 1.5), rng) for _ in range(200)]
    scales = np.array([window.scale for window in windows])
    assert 1.0 <= scales.min() < 1.1 and 2.8 < scales.max() <= 3.0
    assert abs(np.log(scales).mean() - np.log([1.0, 3.0]).mean()) < 0.1
    for window in windows:
        assert 0 <= window.left <= round(200 * window.scale) - 64
        assert 0 <= window.top <= round(100 * window.scale) - 64
    # It holds the middle of a box more often than chance would have it.
    small = dataclasses.replace(record, masks=record.masks[1:2])
    found = [choose_window(small, 64, 300, (1.0, 1.0), rng) for _ in range(100)]
    held = [0 <= 330 - w.left < 64 and 0 <= 210 - w.top < 64 for w in found]
    assert np.mean(held) > 2 * 64**2 / (600 - 64) / (300 - 64)


def test_an_image_that_is_smaller_than_the_crop_lies_anywhere_in_it(drawn):
    _, record = drawn
    rng = np.random.default_rng(0)
    windows = [choose_window(record, 256, 100, (1.0, 1.0), rng) for _ in range(100)]
    assert {window.scale for window in windows} == {1.0}
    assert all(-56 <= window.left <= 0 and -156 <= window.top <= 0 for window in windows)
    assert len({window.left for window in windows}) > 20


def test_samples_are_crops_where_the_recipe_says_so(records, tmp_path, tiny_recipe):
    write_records(tmp_path / "r.jsonl", records)
    recipe = dataclasses.replace(tiny_recipe, crop=48, crop_scales=(0.6, 2.0), jitter=0.2)

    def made(number):
        file = RecordFile(tmp_path / "r.jsonl")
        return TrainingSamples(file, np.arange(10), recipe, recipe.rounds[0])[number]

    for number in range(12):
        sample = made(number)
        assert sample.image.shape == (3, 48, 48)
        assert torch.equal(sample.image, made(number).image)
        assert torch.equal(sample.masks, made(number).masks)
        assert len(sample.boxes) == len(sample.masks)


def test_what_touches_the_edge_may_be_cut_off():
    masks = torch.zeros(5, 6, 8, dtype=torch.bool)
    for mask, (row, column) in zip(masks, [(0, 3), (5, 3), (3, 0), (3, 7), (1, 1)], strict=True):
        mask[row, column] = True
    assert touches_edge(masks).tolist() == [True, True, True, True, False]
    assert touches_edge(masks[:0]).tolist() == []
