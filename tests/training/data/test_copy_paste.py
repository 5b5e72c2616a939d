"""Copy-paste against a direct computation, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fiftyone_promerge.training.data.copy_paste import boxes_of, copy_paste, paste


def rectangle(top, left, bottom, right, size=(8, 10)):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def image_of(value, size=(8, 10)):
    return torch.full((3, *size), value, dtype=torch.uint8)


def test_a_pasted_mask_cuts_what_lies_below_it():
    old = torch.stack([rectangle(0, 0, 4, 4), rectangle(5, 5, 8, 10)])
    new = rectangle(2, 2, 5, 6)[None]
    image, masks, _ = paste(image_of(1), old, image_of(9), new, max_cover=0.5)
    expected = rectangle(0, 0, 4, 4)
    expected[2:4, 2:4] = False
    assert torch.equal(masks, torch.stack([expected, old[1], new[0]]))
    assert torch.equal(image, torch.where(new[0], image_of(9), image_of(1)))


@pytest.mark.parametrize(("rows", "kept"), [(1, True), (2, False), (3, False)])
def test_an_instance_that_covers_half_of_another_is_not_pasted(rows, kept):
    old = rectangle(0, 0, 4, 4)[None]
    new = torch.stack([rectangle(0, 0, rows, 4), rectangle(6, 6, 8, 8)])
    image, masks, _ = paste(image_of(1), old, image_of(9), new, max_cover=0.5)
    assert len(masks) == 2 + kept
    assert bool((image[0, :rows, :4] == 9).all()) is kept
    assert torch.equal(masks[-1], new[1]), "the other one is pasted either way"


def test_what_several_pasted_instances_hide_altogether_is_gone():
    old = rectangle(0, 0, 4, 4)[None]
    new = torch.stack([rectangle(0, 0, 1, 4), rectangle(1, 0, 2, 4), rectangle(2, 0, 3, 4)])
    new = torch.cat([new, rectangle(3, 0, 4, 4)[None]])
    _, masks, _ = paste(image_of(1), old, image_of(9), new, max_cover=0.5)
    assert torch.equal(masks, new)


def test_random_masks_against_a_direct_computation():
    rng = np.random.default_rng(0)
    for _ in range(50):
        old, new = (torch.from_numpy(rng.random((3, 6, 7)) < share) for share in (0.6, 0.15))
        old[0, 0, 0] = new[0, 0, 0] = True
        source, target = (torch.from_numpy(rng.integers(0, 255, (3, 6, 7), np.uint8)) for _ in "ab")
        pasted = [
            mask
            for mask in new
            if all(int((mask & below).sum()) < 0.2 * int(below.sum()) for below in old)
        ]
        top = torch.zeros(6, 7, dtype=torch.bool)
        for mask in pasted:
            top |= mask
        expected = [below & ~top for below in old] + pasted
        image, masks, origin = paste(target, old, source, new, max_cover=0.2)
        before = [*old, *new]
        for mask, place in zip(masks, origin.tolist(), strict=True):
            assert torch.equal(mask, before[place] if place >= 3 else before[place] & ~top)
        assert torch.equal(masks, torch.stack([mask for mask in expected if mask.any()]))
        for channel in range(3):
            assert torch.equal(image[channel][top], source[channel][top])
            assert torch.equal(image[channel][~top], target[channel][~top])


def test_boxes_are_tight_to_the_masks():
    masks = torch.stack([rectangle(1, 2, 5, 9), rectangle(7, 0, 8, 1), rectangle(0, 0, 8, 10)])
    masks[2, 3, 3] = False
    assert boxes_of(masks).tolist() == [[2, 1, 9, 5], [0, 7, 1, 8], [0, 0, 10, 8]]
    assert boxes_of(masks[:0]).shape == (0, 4)


def test_boxes_of_random_masks_against_numpy():
    masks = torch.from_numpy(np.random.default_rng(1).random((40, 9, 11)) < 0.03)
    masks = masks[masks.flatten(1).any(1)]
    for mask, box in zip(masks.numpy(), boxes_of(masks).tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def pasted_from(instances, scale, seed=0, size=(40, 40)):
    """The masks that a source of so many 10 x 10 instances leaves on an empty image."""
    source = torch.zeros(instances, *size, dtype=torch.bool)
    for number in range(instances):
        source[number, 10 * number : 10 * number + 10, :10] = True
    rng = np.random.default_rng(seed)
    empty = torch.zeros(0, *size, dtype=torch.bool)
    return copy_paste(image_of(0, size), empty, image_of(7, size), source, scale, 0.5, rng)


def test_one_to_all_but_one_instances_are_pasted():
    counts = {len(pasted_from(4, (1.0, 1.0), seed)[1]) for seed in range(40)}
    assert counts == {1, 2, 3}


def test_it_is_known_which_instances_were_pasted():
    for seed in range(20):
        _, masks, origin = pasted_from(4, (1.0, 1.0), seed)
        tops = boxes_of(masks)[:, 1].tolist()
        assert len(set(origin.tolist())) == len(masks)
        # The source's instances lie ten pixels below each other, in their order.
        assert [(one - tops[0]) / 10 for one in tops] == [
            place - int(origin[0]) for place in origin.tolist()
        ]


def test_a_single_instance_is_pasted():
    image, masks, _ = pasted_from(1, (1.0, 1.0))
    assert len(masks) == 1 and torch.equal(image[0] == 7, masks[0])


def test_of_a_source_without_instances_none_is_pasted():
    image, masks, _ = pasted_from(0, (1.0, 1.0))
    assert len(masks) == 0 and int(image.max()) == 0


def test_instances_are_resized_and_placed_anywhere():
    sides, places = set(), set()
    for seed in range(60):
        image, masks, _ = pasted_from(3, (0.3, 1.0), seed)
        box = boxes_of(masks)[0]
        sides.add(int(box[2] - box[0]))
        places.add((int(box[0]), int(box[1])))
        assert torch.equal(image[0] == 7, masks.any(0)), "pixels come along with their masks"
    assert min(sides) == 3 and max(sides) == 10
    assert len(places) > 30


def test_a_source_of_another_shape_fits_into_the_image():
    source = torch.ones(2, 30, 90, dtype=torch.bool)
    empty = torch.zeros(0, 40, 40, dtype=torch.bool)
    rng = np.random.default_rng(0)
    _, masks, _ = copy_paste(
        image_of(0, (40, 40)), empty, image_of(7, (30, 90)), source, (1.0, 1.0), 0.5, rng
    )
    left, top, right, bottom = boxes_of(masks)[0].tolist()
    assert (right - left, bottom - top) == (40, 13)
