"""Merging against a plain loop over proposals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plain_promerge import plain_merge
from promerge_core import ProMergeConfig
from promerge_core.stages.merging import merge


def as_bytes(masks):
    return [np.packbits(mask).tobytes() for mask in masks]


def grid_of(unit, mask):
    return unit.double().numpy().reshape(*mask.shape, -1)


def merge_one(masks, unit, config):
    """`merge` for one image."""
    merged, cluster = merge(masks[None], unit[None], config)
    return merged[0], cluster[0]


def test_merging_is_that_of_a_loop_over_proposals(drawn):
    masks, _, unit, config = drawn
    clusters = plain_merge(list(masks.numpy()), grid_of(unit, masks[0]), config)
    merged, cluster = merge_one(masks, unit, config)
    for number, mask in enumerate(merged):
        assert torch.equal(mask, masks[cluster == number].any(0))
    found = zip(as_bytes(merged), cluster.bincount().tolist(), strict=True)
    expected = zip(as_bytes(mask for mask, _ in clusters), (n for _, n in clusters), strict=True)
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("similarity", "count"), [(0.25, 1), (0.2500001, 2)])
def test_masks_merge_from_the_similarity_on(similarity, count, halves):
    masks, unit = halves
    config = ProMergeConfig(merge_overlap_similar=0.1, merge_similarity=similarity)
    assert len(merge_one(masks, unit, config)[0]) == count


@pytest.mark.parametrize(("overlap", "count"), [(0.25, 2), (0.2499999, 1)])
def test_masks_merge_above_the_overlap(overlap, count, halves):
    masks, unit = halves
    config = ProMergeConfig(merge_overlap=overlap, merge_overlap_similar=1.0)
    assert len(merge_one(masks, unit, config)[0]) == count


def test_nothing_to_merge_gives_nothing():
    none = torch.zeros(0, 4, 5, dtype=torch.bool)
    unit = torch.zeros(20, 3)
    merged, cluster = merge_one(none, unit, ProMergeConfig())
    assert merged.shape == (0, 4, 5)
    assert cluster.shape == (0,)
