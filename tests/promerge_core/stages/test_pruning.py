"""The cascade against a plain loop over proposals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plain_promerge import plain_prune
from promerge_core import ProMergeConfig
from promerge_core.stages.pruning import background_response, mean_features, mean_response, prune


def grid_of(unit, mask):
    return unit.double().numpy().reshape(*mask.shape, -1)


def prune_one(masks, background, unit, config):
    """`prune` for one image."""
    response = background_response(background[None], unit[None])
    return prune(masks[None], background[None], response, config)[0]


def test_cascade_is_that_of_a_loop_over_proposals_in_its_order(drawn):
    masks, background, unit, config = drawn
    expected = plain_prune(list(masks.numpy()), background.numpy(), grid_of(unit, masks[0]), config)
    kept = prune_one(masks, background, unit, config)
    assert np.array_equal(kept, np.array(expected, bool).reshape(-1, *masks.shape[1:]))


@pytest.mark.parametrize(("similarity", "count"), [(0.25, 0), (0.2500001, 2)])
def test_masks_are_pruned_from_the_similarity_on(similarity, count, halves):
    masks, unit = halves
    background = torch.zeros(1, 7, dtype=torch.bool)
    background[0, 0] = True
    config = ProMergeConfig(background_similarity=similarity)
    assert len(prune_one(masks, background, unit, config)) == count


def test_nothing_to_prune_gives_nothing():
    none = torch.zeros(0, 4, 5, dtype=torch.bool)
    unit = torch.zeros(20, 3)
    background = torch.ones(4, 5, dtype=torch.bool)
    assert prune_one(none, background, unit, ProMergeConfig()).shape == (0, 4, 5)


def test_means_of_an_empty_mask_are_zero():
    masks = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert mean_features(masks, torch.ones(4, 3)).tolist() == [[0, 0, 0]]
    assert mean_response(masks, torch.ones(4)).tolist() == [0]
