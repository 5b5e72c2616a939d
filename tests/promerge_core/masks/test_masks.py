"""Mask operations against scipy, pycocotools and PIL."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage

from promerge_core.masks.components import connected_components, fill_holes
from promerge_core.masks.mask import Mask, masks_from_arrays
from promerge_core.masks.overlap import mask_iou
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.rle import decode_rle, encode_rle


def spiral(size):
    """A one-pixel path that winds to the middle: the longest path a component can have."""
    mask = np.zeros((size, size), bool)
    y, x, dy, dx = 0, 0, 0, 1
    mask[0, 0] = True
    while True:
        ahead, beyond = (y + dy, x + dx), (y + 2 * dy, x + 2 * dx)
        free = all(0 <= side < size for side in ahead) and not (
            all(0 <= side < size for side in beyond) and mask[beyond]
        )
        if free and not mask[ahead]:
            y, x = ahead
            mask[y, x] = True
        elif mask[y - dy, x - dx] and not _open(mask, y, x, dx, -dy):
            return mask
        else:
            dy, dx = dx, -dy


def _open(mask, y, x, dy, dx):
    beyond = (y + 2 * dy, x + 2 * dx)
    return all(0 <= side < len(mask) for side in beyond) and not mask[beyond]


def comb(size):
    """Teeth that are joined in the last row only."""
    mask = np.zeros((size, size), bool)
    mask[:, ::2] = mask[-1] = True
    return mask


SHAPES = {
    "spiral": spiral(33),
    "spiral turned": spiral(33)[::-1, ::-1],
    "comb": comb(21),
    "comb upside down": comb(21)[::-1],
    "comb on its side": comb(21).T,
    "chessboard": np.indices((9, 10)).sum(0) % 2 == 0,
    "diagonal": np.eye(7, dtype=bool),
    "all": np.ones((8, 9), bool),
    "none": np.zeros((8, 9), bool),
    "one pixel": np.ones((1, 1), bool),
    "no pixel": np.zeros((1, 1), bool),
    "row": np.array([[1, 1, 0, 1]], bool),
    "column": np.array([[1], [0], [1], [1]], bool),
    "ring": np.pad(np.zeros((3, 4), bool), 1, constant_values=True),
}
RANDOM = list(itertools.product((0.05, 0.3, 0.5, 0.59, 0.7, 0.95), range(6)))


def random_batch(density, seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    return rng.random((5, height, width)) < density


def check_components(masks):
    """Labels must be scipy's, numbered on from one mask to the next, and areas the counts."""
    labels, areas = connected_components(torch.from_numpy(masks))
    offset, expected = 0, np.full(masks.shape, -1)
    for index, mask in enumerate(masks):
        found, count = ndimage.label(mask)
        expected[index][mask] = found[mask] - 1 + offset
        offset += count
    assert np.array_equal(labels, expected)
    assert areas.tolist() == np.bincount(expected[masks], minlength=offset).tolist()


def check_holes(masks):
    filled = fill_holes(torch.from_numpy(masks))
    assert np.array_equal(filled, [ndimage.binary_fill_holes(mask) for mask in masks])


@pytest.mark.parametrize("name", SHAPES)
def test_components_of_shapes_are_scipys(name):
    check_components(np.ascontiguousarray(SHAPES[name][None]))


@pytest.mark.parametrize(("density", "seed"), RANDOM)
def test_components_of_random_masks_are_scipys(density, seed):
    check_components(random_batch(density, seed))


def test_components_do_not_join_masks_of_a_batch():
    check_components(np.ones((4, 3, 5), bool))


def test_components_of_masks_in_another_layout_are_the_same():
    masks = torch.from_numpy(random_batch(0.5, 1))
    turned = masks.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert not turned.is_contiguous()
    for found, expected in zip(
        connected_components(turned), connected_components(masks), strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("shape", [(0, 6, 7), (0, 1, 1)])
def test_components_and_holes_of_no_masks_are_none(shape):
    none = torch.zeros(shape, dtype=torch.bool)
    labels, areas = connected_components(none)
    assert labels.shape == fill_holes(none).shape == shape
    assert areas.shape == (0,)


@pytest.mark.parametrize("name", SHAPES)
def test_holes_of_shapes_are_filled_as_scipy_does(name):
    check_holes(np.stack([SHAPES[name], ~SHAPES[name]]))


@pytest.mark.parametrize(("density", "seed"), RANDOM)
def test_holes_of_random_masks_are_filled_as_scipy_does(density, seed):
    check_holes(random_batch(density, seed))


# Run-length encoding -----------------------------------------------------------------------------


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


def uncompressed(mask):
    """COCO's runs, column by column, beginning with the zeros."""
    flat = np.concatenate([[False], mask.flatten(order="F"), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()
    return {"size": list(mask.shape), "counts": runs if runs[-1] else runs[:-1]}


@pytest.mark.parametrize("name", MASKS)
def test_rle_is_pycocotools_and_comes_back(name):
    mask = MASKS[name]
    (rle,) = encode_rle(mask[None])
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle == {"size": list(mask.shape), "counts": expected["counts"].decode()}
    restored = decode_rle(json.loads(json.dumps(rle)))
    assert restored.dtype == bool
    assert np.array_equal(restored, mask)
    assert np.array_equal(decode_rle({**rle, "counts": rle["counts"].encode()}), mask)


@pytest.mark.parametrize("name", MASKS)
def test_uncompressed_rle_is_decoded(name):
    assert np.array_equal(decode_rle(uncompressed(MASKS[name])), MASKS[name])


@pytest.mark.parametrize("counts", [[5], [5, 30, 1], [36], []])
def test_runs_that_do_not_fill_the_image_are_refused(counts):
    with pytest.raises(ValueError, match="add up to"):
        decode_rle({"size": [5, 7], "counts": counts})


def test_many_masks_are_encoded_in_their_order_whatever_their_layout():
    masks = np.random.default_rng(2).random((6, 11, 8)) < 0.4
    for layout in (masks, masks.astype(np.uint8), np.asfortranarray(masks), masks[::1, ::-1]):
        decoded = [decode_rle(rle) for rle in encode_rle(layout)]
        assert np.array_equal(decoded, layout.astype(bool))


def test_no_masks_encode_to_none():
    assert encode_rle(np.zeros((0, 5, 5), bool)) == []


# Mask objects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(MASKS) - {"empty"}))
def test_box_is_tight_and_area_is_the_number_of_pixels(name):
    array = MASKS[name]
    (mask,) = masks_from_arrays(array[None], [0.5], [{"votes": 3.0}])
    rows, columns = np.flatnonzero(array.any(1)), np.flatnonzero(array.any(0))
    width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
    assert mask.bbox == (columns[0], rows[0], width, height)
    assert mask.area == array.sum()
    assert (mask.score, mask.facts) == (0.5, {"votes": 3.0})
    assert np.array_equal(mask.to_array(), array)
    assert [type(side) for side in mask.bbox] == [float] * 4
    assert type(mask.area) is int
    json.dumps(dataclasses.asdict(mask))


def test_empty_masks_are_left_out_with_their_scores():
    arrays = np.stack([MASKS["full"], MASKS["empty"], MASKS["full"]])
    masks = masks_from_arrays(arrays, [0.1, 0.2, 0.3], [{}, {}, {}])
    assert [mask.score for mask in masks] == [0.1, 0.3]


def test_masks_cannot_be_changed():
    mask = Mask({"size": [1, 1], "counts": "01"}, (0.0, 0.0, 1.0, 1.0), 1, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        mask.score = 0.5


# Resizing and overlap ----------------------------------------------------------------------------


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


def test_iou_is_pycocotools():
    rng = np.random.default_rng(5)
    first, second = rng.random((2, 30, 12, 17)) < rng.random((2, 30, 1, 1))
    found = mask_iou(torch.from_numpy(first), torch.from_numpy(second))
    expected = coco_mask.iou(encode_rle(first), encode_rle(second), [0] * 30).diagonal()
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_iou_of_two_empty_masks_is_zero():
    none = torch.zeros(1, 3, 3, dtype=torch.bool)
    assert mask_iou(none, none).tolist() == [0]
