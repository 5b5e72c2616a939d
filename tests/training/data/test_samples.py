"""Samples: functions of the seed and their number alone, with masks that fit their images."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from fiftyone_promerge.training.data.labelling import NO_CLASS, Labelling
from fiftyone_promerge.training.data.records import (
    Record,
    RecordError,
    RecordFile,
    mask_from_rle,
    write_records,
)
from fiftyone_promerge.training.data.samples import Steps, TrainingSamples, resize_record
from promerge_core.masks.rle import encode_rle


@pytest.fixture
def file(records, tmp_path):
    write_records(tmp_path / "records.jsonl", records)
    return RecordFile(tmp_path / "records.jsonl")


@pytest.fixture
def samples(file, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, short_sides=(40, 50, 64))
    return lambda **changes: TrainingSamples(
        file, np.arange(8), dataclasses.replace(recipe, **changes), recipe.rounds[0]
    )


def same(one, two):
    return one.image.shape == two.image.shape and all(map(torch.equal, one[1:], two[1:]))


def test_a_sample_depends_on_its_number_and_the_seed_alone(samples):
    numbers = [0, 5, 8, 21]
    first = {number: samples()[number] for number in numbers}
    shared = samples()
    np.random.seed(7)
    torch.manual_seed(7)
    for number in reversed(numbers):
        assert same(first[number], shared[number])
    assert not all(same(first[number], samples(seed=1)[number]) for number in numbers)


def test_each_epoch_has_every_image_once_in_an_order_of_its_own(samples):
    made = samples()
    orders = [[made._position(8 * epoch + n) for n in range(8)] for epoch in range(3)]
    assert [sorted(order) for order in orders] == [list(range(8))] * 3
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_sizes_flips_and_pastes_vary(samples):
    made = [samples()[number] for number in range(24)]
    assert {min(sample.image.shape[1:]) for sample in made} == {40, 50, 64}
    assert len({len(sample.masks) for sample in made}) > 1
    for sample in made:
        assert sample.masks.shape[1:] == sample.image.shape[1:]
        assert sample.masks.flatten(1).any(1).all()
        assert len(sample.boxes) == len(sample.masks)
        # The boxes were drawn brighter than 120, all else darker than 60.
        inside = sample.image.float().mean(0)[sample.masks.any(0)].median()
        outside = sample.image.float().mean(0)[~sample.masks.any(0)].median()
        assert inside > 90 > outside


def test_without_pasting_every_image_has_its_own_instances_alone(file, tiny_recipe):
    positions = np.arange(10)
    args = (file, positions, tiny_recipe, tiny_recipe.rounds[0])
    plain, pasted = TrainingSamples(*args, pastes=False), TrainingSamples(*args)
    assert {len(plain[number].masks) for number in range(20)} == {2}
    assert max(len(pasted[number].masks) for number in range(20)) > 2


@pytest.mark.parametrize("crop", [None, 48])
def test_classes_and_boxes_follow_their_instances(tmp_path, tiny_recipe, crop):
    """Red is of the first class, green of the second, blue of none and has a box alone."""
    colours = {"red": (250, 0, 0), "green": (0, 250, 0), "object": (0, 0, 250)}
    records = []
    for number in range(6):
        image, masks = np.zeros((64, 64, 3), np.uint8), {}
        for place, name in enumerate(np.random.default_rng(number).permutation([*colours])):
            array = np.zeros((64, 64), bool)
            array[20 * place + 2 : 20 * place + 18, 8:48] = True
            image[array] = colours[name]
            masks[name] = dataclasses.replace(
                mask_from_rle(encode_rle(array[None])[0]), label=str(name)
            )
        path = tmp_path / f"{number}.png"
        Image.fromarray(image).save(path)
        box = masks.pop("object")
        records.append(Record(str(number), str(path), 64, 64, tuple(masks.values()), (), (box,)))
    write_records(tmp_path / "r.jsonl", records)
    recipe = dataclasses.replace(tiny_recipe, crop=crop)
    made = TrainingSamples(
        RecordFile(tmp_path / "r.jsonl"),
        np.arange(6),
        recipe,
        recipe.rounds[0],
        labelling=Labelling(("green", "red")),
    )
    counts = []
    for number in range(30):
        sample = made[number]
        counts.append(len(sample.masks))
        # Where instances overlap, that of the pasted image lies above.
        for mask, kind, has_mask in zip(
            sample.masks, sample.classes.tolist(), sample.has_mask.tolist(), strict=True
        ):
            colour = sample.image[:, mask].float().median(1).values
            assert int(colour.argmax()) == {1: 1, 2: 0, NO_CLASS: 2}[kind]
            assert has_mask == (kind != NO_CLASS)
    assert max(counts) > 3, "nothing was pasted"


def test_an_unreadable_image_is_replaced_by_the_next_one(records, tmp_path, tiny_recipe, caplog):
    (tmp_path / "broken.png").write_text("words")
    Image.new("RGB", (63, 64)).save(tmp_path / "narrow.png")
    wrong = dataclasses.replace(records[1], path=str(tmp_path / "narrow.png"))
    several = [dataclasses.replace(records[0], path=str(tmp_path / "broken.png")), wrong]
    write_records(tmp_path / "r.jsonl", [*several, records[2]])
    file = RecordFile(tmp_path / "r.jsonl")
    made = TrainingSamples(file, np.arange(3), tiny_recipe, tiny_recipe.rounds[0])
    with caplog.at_level(logging.WARNING):
        assert all(len(made[number].masks) for number in range(3))
    assert any("broken.png: not an image" in message for message in caplog.messages)
    assert any("has 63 x 64 pixels, its masks" in message for message in caplog.messages)


def test_when_none_can_be_read_it_is_one_sentence(records, tmp_path, tiny_recipe):
    gone = [dataclasses.replace(record, path=f"/gone/{record.key}") for record in records]
    write_records(tmp_path / "r.jsonl", gone)
    file = RecordFile(tmp_path / "r.jsonl")
    made = TrainingSamples(file, np.arange(10), tiny_recipe, tiny_recipe.rounds[0])
    with pytest.raises(RecordError, match="100 images in a row cannot be used"):
        made[0]


def test_an_image_keeps_its_shape_within_the_long_side():
    array = np.zeros((1, 30, 100), bool)
    array[0, 5:25, 10:40] = True
    record = Record("k", "/k.png", 30, 100, (mask_from_rle(encode_rle(array)[0]),))
    picture = Image.new("RGB", (100, 30))
    for short_side, expected in ((60, (60, 200)), (90, (75, 250))):
        image, masks, _ = resize_record(picture, record, short_side, long_side=250)
        assert tuple(image.shape) == (3, *expected)
        share = masks.float().mean() / array.mean()
        assert share == pytest.approx(1, abs=0.03)


def test_a_mask_that_vanishes_is_left_out():
    array = np.zeros((2, 100, 100), bool)
    array[0, 50:51, 50:51] = True
    array[1, 10:60, 10:60] = True
    masks = tuple(map(mask_from_rle, encode_rle(array)))
    _, resized, kept = resize_record(
        Image.new("RGB", (100, 100)), Record("k", "/k", 100, 100, masks), 10, 100
    )
    assert resized.sum((1, 2)).tolist() == [25]
    assert kept.tolist() == [1]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_share_each_steps_samples(world_size):
    shares = [list(Steps(5, 4, rank, world_size)) for rank in range(world_size)]
    for step in range(5):
        together = [number for share in shares for number in share[step]]
        assert together == list(range(4 * step, 4 * step + 4))


def test_a_resumed_row_of_steps_goes_on_where_it_was():
    assert list(Steps(5, 4, first=3)) == list(Steps(5, 4))[3:]
    assert len(Steps(5, 4, first=3)) == 5
