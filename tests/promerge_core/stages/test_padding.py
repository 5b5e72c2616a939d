"""Rows of several images in one tensor against plain lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core.stages.padding import choose_rows, in_order, pad_rows


def padded(lists, width):
    """Lists of rows as one array, each followed by zeros up to the longest."""
    longest = max(map(len, lists))
    return [rows + [[0] * width] * (longest - len(rows)) for rows in lists]


@pytest.mark.parametrize("counts", [[3], [0], [2, 0, 4], [0, 0], [1, 1], [0, 5]])
def test_every_image_gets_as_many_rows_as_the_longest_has(counts):
    rows = torch.arange(1, 1 + 2 * sum(counts)).view(-1, 2)
    image = torch.tensor([number for number, count in enumerate(counts) for _ in range(count)])
    found = pad_rows(rows, image.long(), len(counts))
    lists = [part.tolist() for part in rows.split(counts)]
    assert found.shape == (len(counts), max(counts), 2)
    assert found.tolist() == padded(lists, 2)


@pytest.mark.parametrize("seed", range(6))
def test_chosen_rows_stay_in_their_order(seed):
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.integers(1, 100, (4, 7, 3)))
    chosen = torch.from_numpy(rng.random((4, 7)) < 0.5)
    lists = [
        [row for row, is_chosen in zip(one, taken, strict=True) if is_chosen]
        for one, taken in zip(rows.tolist(), chosen.tolist(), strict=True)
    ]
    assert choose_rows(rows, chosen).tolist() == padded(lists, 3)


def test_masks_stay_masks():
    masks = torch.ones(2, 3, 4, 5, dtype=torch.bool)
    chosen = torch.tensor([[True, False, True], [False, False, False]])
    found = choose_rows(masks, chosen)
    assert (found.dtype, found.shape) == (torch.bool, (2, 2, 4, 5))
    assert found[0].all() and not found[1].any()


@pytest.mark.parametrize("kept", [1, 5])
def test_rows_are_put_in_each_images_own_order(kept):
    rng = np.random.default_rng(kept)
    rows = torch.from_numpy(rng.random((3, 5, 2)))
    order = torch.from_numpy(np.stack([rng.permutation(5)[:kept] for _ in range(3)]))
    expected = [[one[place] for place in places] for one, places in zip(rows, order, strict=True)]
    assert torch.equal(in_order(rows, order), torch.stack([torch.stack(one) for one in expected]))
