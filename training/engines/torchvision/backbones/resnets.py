"""A ResNet of torchvision under an FPN."""

from __future__ import annotations

import torchvision
from torch import nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool

from .norms import Norm

MOST_LEVELS = 5
"""Those of a ResNet's four stages, and one of stride 64."""


class NoExtraLevel(ExtraFPNBlock):
    """Adds no level to those of an FPN."""

    def forward(self, results: list, x: list, names: list[str]) -> tuple[list, list[str]]:
        """See `ExtraFPNBlock`."""
        return results, names


def extra_level(levels: int) -> ExtraFPNBlock:
    """What makes the level of stride 64, where there are to be five."""
    return LastLevelMaxPool() if levels == MOST_LEVELS else NoExtraLevel()


def resnet_fpn(name: str, channels: int, levels: int, norm: Norm) -> nn.Module:
    """A ResNet with random weights under an FPN.

    Args:
        name: such as `resnet18`.
        channels: of each level of the FPN.
        levels: how many of them there are, from 1 to 5; the finest is of stride 4.
        norm: of the ResNet and the FPN.

    Returns:
        a module of images [B, 3, H, W] to features by their level's name, the finest first; its
        parts are `body` and `fpn`.
    """
    resnet = getattr(torchvision.models, name)(weights=None, norm_layer=norm)
    stages = range(1, min(levels, 4) + 1)
    return BackboneWithFPN(
        resnet,
        {f"layer{number}": str(number - 1) for number in stages},
        [resnet.fc.in_features // 2 ** (4 - number) for number in stages],
        channels,
        extra_level(levels),
        norm_layer=norm,
    )
