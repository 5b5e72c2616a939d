"""Components and holes against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from promerge_core.masks.components import connected_components, fill_holes


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
