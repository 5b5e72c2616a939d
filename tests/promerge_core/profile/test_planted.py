"""Planted instances: features as they are said to be, and a backbone that gives them in turn."""

from __future__ import annotations

import pytest
import torch

from promerge_core import load_backbone, segment_features
from promerge_core.profile.planted import INSTANCES, PlantedBackbone, plant, planted_features


@pytest.fixture
def network():
    return load_backbone("embedded", "cpu")


@pytest.mark.parametrize("side", [30, 60])
def test_features_are_of_the_asked_size_and_the_same_each_time(side):
    features = planted_features(24, instances=2, side=side)
    assert (features.shape, features.dtype) == ((24, side, side), torch.float32)
    assert torch.equal(features, planted_features(24, instances=2, side=side))
    assert not torch.equal(features, planted_features(24, instances=2, side=side, seed=1))


@pytest.mark.parametrize(("instances", "seed"), [(1, 2), (2, 0), (3, 4)])
def test_promerge_finds_the_planted_instances(instances, seed):
    stages = segment_features(planted_features(768, instances, seed=seed))
    assert len(stages.merged) == instances


def test_every_image_gets_the_next_features_in_turn(network):
    features = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 5, 2, 2)
    planted = PlantedBackbone(features, patch_size=8)
    assert (planted.name, planted.dim, planted.patch_size) == ("planted", 5, 8)
    first, second = planted(torch.zeros(2, 3, 16, 16)), planted(torch.zeros(2, 3, 16, 16))
    assert torch.cat([first, second])[:, 0, 0, 0].tolist() == [0, 1, 2, 0]


def test_the_network_runs_on_every_batch_for_what_it_costs(network):
    seen = []
    network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    planted = plant(network, side=6)
    assert planted(torch.zeros(3, 3, 48, 48)).shape == (3, network.dim, 6, 6)
    assert seen == [(3, 3, 48, 48)]
    assert (planted.name, planted.patch_size, planted.dim) == ("embedded", 8, network.dim)
    assert len(planted.features) == len(INSTANCES)
