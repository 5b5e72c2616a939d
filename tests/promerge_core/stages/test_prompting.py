"""Prompts, proposals and background candidates against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plain_promerge import plain_proposals
from promerge_core import ProMergeConfig
from promerge_core.stages.prompting import covers_two_borders, propose, unit_features


@pytest.mark.parametrize("seed", range(20))
def test_proposals_are_those_of_a_loop_over_prompts_in_its_order(seed, noisy_features):
    config = ProMergeConfig(
        seed_stride=1 + seed % 5,
        affinity_threshold=(0.0, 0.2, 0.4)[seed % 3],
        component_area_ratio=(0.5, 0.1, 1.0)[seed % 3],
    )
    features = noisy_features(seed, height=13 + seed % 3, width=11 + seed % 4)
    height, width = features.shape[1:]
    prompted = propose(unit_features(features)[None], height, width, config)
    proposals, candidates = prompted.proposals, prompted.masks[prompted.is_candidate]
    expected_proposals, expected_candidates = plain_proposals(features.double(), config)
    assert np.array_equal(candidates, np.array(expected_candidates).reshape(-1, height, width))
    assert np.array_equal(proposals, np.array(expected_proposals).reshape(-1, height, width))
    assert len(proposals) > 0


@pytest.mark.parametrize(
    ("filled", "counts"), [(0, False), (3, False), (4, False), (5, True), (8, True)]
)
def test_a_border_counts_above_one_half_only(filled, counts):
    mask = torch.zeros(1, 10, 8, dtype=torch.bool)
    mask[:, 0, :filled] = mask[:, -1, :filled] = True
    assert covers_two_borders(mask).tolist() == [counts]


def test_one_border_is_not_enough():
    mask = torch.zeros(1, 10, 8, dtype=torch.bool)
    mask[:, 0] = True
    assert not covers_two_borders(mask).any()
