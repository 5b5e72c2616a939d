"""Norms by the names that recipes have for them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fiftyone_promerge.training.engines.torchvision.backbones.norms import find_norm, group_norm


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (20, 4), (7, 1)])
def test_groups_divide_the_channels(channels, groups):
    assert group_norm(channels).num_groups == groups
    assert group_norm(channels)(torch.zeros(1, channels, 3, 3)).shape == (1, channels, 3, 3)


def test_group_norm_and_frozen_norm_do_not_depend_on_the_batch():
    images = torch.randn(4, 32, 5, 5, generator=torch.Generator().manual_seed(0))
    for name, is_independent in (("group", True), ("frozen", True), ("batch", False)):
        norm = find_norm(name)(32).train()
        assert torch.allclose(norm(images)[:1], norm(images[:1]), atol=1e-6) == is_independent


def test_a_frozen_norm_has_nothing_to_train():
    norm = find_norm("frozen")(8)
    assert list(norm.parameters()) == []
    assert norm.state_dict().keys() == {"weight", "bias", "running_mean", "running_var"}


def test_the_batch_norm_is_the_one_that_is_given():
    class Other(nn.BatchNorm2d):
        pass

    assert isinstance(find_norm("batch", Other)(3), Other)
