"""ResNets under an FPN have as many levels as they are asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fiftyone_promerge.training.engines.torchvision.backbones.resnets import resnet_fpn


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_the_finest_levels_are_there_and_no_part_is_idle(levels):
    backbone = resnet_fpn("resnet18", 16, levels, nn.BatchNorm2d)
    features = backbone(torch.zeros(2, 3, 128, 64))
    assert [tuple(one.shape) for one in features.values()] == [
        (2, 16, 32 // 2**level, 16 // 2**level) for level in range(levels)
    ]
    sum(one.sum() for one in features.values()).backward()
    # Several processes wait for the gradients of all parameters.
    trained = [one for one in backbone.parameters() if one.requires_grad]
    assert all(one.grad is not None for one in trained)


def test_the_widths_are_those_of_the_resnet():
    backbone = resnet_fpn("resnet50", 8, 4, nn.BatchNorm2d)
    assert [block[0].in_channels for block in backbone.fpn.inner_blocks] == [256, 512, 1024, 2048]
