"""The normalisation that a recipe asks for: by the batch, by groups of channels, or frozen."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torchvision.ops import FrozenBatchNorm2d

Norm = Callable[[int], nn.Module]
"""Makes the layer that normalises so many channels."""

_GROUPS = 32  # Wu and He 2018

TRAINED_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
"""The layers whose parameters scale and shift what is normalised, and have no weight decay."""


def find_norm(name: str, batch_norm: Norm = nn.BatchNorm2d) -> Norm:
    """The normalisation of that name.

    Args:
        name: `batch`, `group` or `frozen`, as `Recipe.norm` has it.
        batch_norm: what `batch` is; with several processes it has to be synchronised.

    Returns:
        what makes a layer.
    """
    norms: dict[str, Norm] = {
        "batch": batch_norm,
        "group": group_norm,
        "frozen": FrozenBatchNorm2d,
    }
    return norms[name]


def group_norm(channels: int) -> nn.Module:
    """GroupNorm of 32 groups, or of as many as such a number of channels can be divided into."""
    return nn.GroupNorm(math.gcd(_GROUPS, channels), channels)
