"""A ConvNet of timm under an FPN."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork

from fiftyone_promerge.training.engines.base import TrainingError
from promerge_core.registry import TIMM_PREFIX

from .norms import Norm
from .resnets import extra_level

_STRIDES = (4, 8, 16, 32)
_SIDE = 128  # pixels; what a network gives for such an image shows whether an FPN can use it


class TimmFPN(nn.Module):
    """A ConvNet of timm with random weights under an FPN.

    Args:
        name: timm's name of it.
        channels: of each level of the FPN.
        levels: how many of them there are, from 1 to 5; the finest is of stride 4.
        norm: stands in for the ConvNet's batch norm, and is that of the FPN.

    Raises:
        TrainingError: timm has no such model, or it has no such features.
    """

    def __init__(self, name: str, channels: int, levels: int, norm: Norm) -> None:
        super().__init__()
        places, widths = _find_features(name, _STRIDES[:levels])
        self.body = _timm().create_model(name, features_only=True, out_indices=places)
        replace_batch_norms(self.body, norm)
        _freeze_idle(self.body)
        self.fpn = FeaturePyramidNetwork(widths, channels, extra_level(levels), norm_layer=norm)
        self.out_channels = channels

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features of images [B, 3, H, W] by their level's name, the finest first."""
        features = OrderedDict((str(level), one) for level, one in enumerate(self.body(images)))
        found: dict[str, torch.Tensor] = self.fpn(features)
        return found


def check_timm_net(name: str) -> None:
    """Raises TrainingError where timm has no such ConvNet, or an FPN cannot use its features."""
    _find_features(name, _STRIDES)


def _find_features(name: str, strides: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Which of a network's features have these strides, and how many channels they have."""
    if not _timm().is_model(name):
        close = difflib.get_close_matches(name, _timm().list_models(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see timm.list_models()"
        raise TrainingError(f"timm has no model {name!r}; {hint}")
    try:
        with torch.device("meta"):
            net = _timm().create_model(name, features_only=True)
            features = net(torch.zeros(1, 3, _SIDE, _SIDE))
    except Exception as error:
        # Those that have no features, or not of such an image, fail in ways of their own.
        raise _unusable(name) from error
    shapes = {tuple(one.shape): place for place, one in enumerate(features)}
    widths = dict(zip(net.feature_info.reduction(), net.feature_info.channels(), strict=True))
    wanted = [(1, widths.get(s, 0), _SIDE // s, _SIDE // s) for s in strides]
    if not set(wanted) <= set(shapes):
        raise _unusable(name)
    return [shapes[one] for one in wanted], [one[1] for one in wanted]


def _unusable(name: str) -> TrainingError:
    return TrainingError(
        f"{TIMM_PREFIX}{name} cannot be a detector's backbone: it gives no features of strides "
        f"{', '.join(map(str, _STRIDES))}; choose a ConvNet such as {TIMM_PREFIX}resnet34"
    )


class Activated(nn.Module):
    """A normalisation and the activation after it, which timm has in one layer.

    Args:
        inner_norm: the normalisation.
        activation: what comes after it.
    """

    def __init__(self, inner_norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.inner_norm = inner_norm
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises and activates [B, C, H, W]."""
        activated: torch.Tensor = self.activation(self.inner_norm(x))
        return activated


def _freeze_idle(body: nn.Module) -> None:
    """Freezes what comes after the last of a body's features, which timm leaves in some of them.

    It has no gradients, and several processes would wait for those of every parameter.
    """
    parameters = [one for one in body.parameters() if one.requires_grad]
    features = body.eval()(torch.zeros(1, 3, _SIDE, _SIDE))
    total = torch.stack([one.sum() for one in features]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)
    body.train()


def timm_name(name: str) -> str:
    """The name that timm gives to a parameter of `TimmFPN.body`, in a network with all its parts.

    timm writes `stages_0` for `stages.0` where it takes a network apart, hence all `.` are `_`.
    """
    return name.replace(".inner_norm", "").replace(".", "_")


def replace_batch_norms(module: nn.Module, norm: Norm) -> None:
    """Puts other normalisations in the place of all batch norms of a module.

    Args:
        module: of timm, where a layer may be a batch norm and an activation at once.
        norm: what to put there; of its parameters those that a batch norm has too are kept.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _replaced(child, norm))
        else:
            replace_batch_norms(child, norm)


def _replaced(old: Any, norm: Norm) -> nn.Module:
    new: Any = norm(old.num_features)
    new.eps = old.eps
    with torch.no_grad():
        new.weight.copy_(old.weight)
        new.bias.copy_(old.bias)
    if isinstance(old, _timm().layers.BatchNormAct2d):
        return Activated(new, nn.Sequential(old.drop, old.act))
    return new


def _timm() -> ModuleType:
    """Imported when a model of timm is asked for: it takes seconds."""
    import timm

    return timm
