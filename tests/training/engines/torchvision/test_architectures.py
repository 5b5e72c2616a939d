"""The architectures of the engine, and those on timm's ConvNets."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fiftyone_promerge.training.engines.torchvision.architectures import (
    ARCHITECTURES,
    find_architecture,
)
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN

NAMES = [*ARCHITECTURES, "timm:mobilenetv3_small_050"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("anchors", [(16.0, 32.0), (8.0, 16.0, 32.0, 64.0, 128.0)])
def test_every_part_of_every_architecture_learns(tiny_recipe, name, norm, anchors):
    recipe = dataclasses.replace(tiny_recipe, norm=norm, anchor_sizes=anchors)
    model = MaskRCNN(recipe, recipe.rounds[0], name).train()
    model.choose_by([0, 1])
    masks = torch.zeros(1, 64, 64, dtype=torch.uint8)
    masks[:, 8:40, 16:48] = 1
    target = {
        "boxes": torch.tensor([[16.0, 8.0, 48.0, 40.0]]),
        "masks": masks,
        "labels": torch.ones(1, dtype=torch.int64),
        "has_mask": torch.ones(1, dtype=torch.bool),
    }
    losses = model([torch.rand(3, 64, 64)] * 2, [target] * 2)
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    idle = [
        name for name, one in model.named_parameters() if one.requires_grad and one.grad is None
    ]
    assert idle == []
    assert [cell.shape[0] for cell in model.rpn.anchor_generator.cell_anchors] == [3] * len(anchors)


def test_the_small_one_is_smaller(tiny_recipe):
    sizes = [
        sum(one.numel() for one in MaskRCNN(tiny_recipe, tiny_recipe.rounds[0], name).parameters())
        for name in ("mask_rcnn", "mask_rcnn_small")
    ]
    assert sizes[1] < sizes[0] / 2.5


def test_one_on_timms_net_is_the_small_one_on_another_backbone():
    small, other = find_architecture("mask_rcnn_small"), find_architecture("timm:resnet10t")
    assert other == small._replace(backbone="resnet10t", by_timm=True)
