"""The optimizer, the learning rate and the moving average of a round, as its recipe names them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fiftyone_promerge.training.recipes import Recipe, Round

from .backbones.norms import TRAINED_NORMS


def make_optimizer(model: nn.Module, recipe: Recipe, schedule: Round) -> torch.optim.Optimizer:
    """The optimizer of a round.

    Args:
        model: the detector; parameters that need no gradient are left out.
        recipe: names it.
        schedule: the round.

    Returns:
        the optimizer at the full learning rate, with two groups: what decays and what does not.
    """
    return _OPTIMIZERS[recipe.optimizer](model, recipe, schedule.learning_rate)


def _sgd(model: nn.Module, recipe: Recipe, rate: float) -> torch.optim.Optimizer:
    groups = _groups(model, lambda module, parameter: not isinstance(module, TRAINED_NORMS))
    return torch.optim.SGD(
        groups, lr=rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )


def _adamw(model: nn.Module, recipe: Recipe, rate: float) -> torch.optim.Optimizer:
    # Norms and biases have one dimension.
    groups = _groups(model, lambda module, parameter: parameter.dim() > 1)
    return torch.optim.AdamW(groups, lr=rate, weight_decay=recipe.weight_decay)


_OPTIMIZERS: dict[str, Callable[[nn.Module, Recipe, float], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}


def _groups(
    model: nn.Module, decays: Callable[[nn.Module, nn.Parameter], bool]
) -> list[dict[str, object]]:
    groups: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad:
                groups[not decays(module, parameter)].append(parameter)
    return [{"params": groups[0]}, {"params": groups[1], "weight_decay": 0.0}]


def relative_rate(step: int, iterations: int, recipe: Recipe, schedule: Round) -> float:
    """The learning rate of a step relative to the full one: a linear warm-up, then the decay.

    Args:
        step: from 0.
        iterations: steps of the round; those of `schedule`, or fewer where its time is short.
        recipe: names the decay.
        schedule: the milestones of the round.

    Returns:
        a factor in [0, 1].
    """
    done = min(step / max(recipe.warmup_iterations, 1), 1)
    warmup = recipe.warmup_factor + (1 - recipe.warmup_factor) * done
    return float(warmup * _DECAYS[recipe.decay](step, iterations, recipe, schedule))


def _in_steps(step: int, iterations: int, recipe: Recipe, schedule: Round) -> float:
    return recipe.gamma ** sum(milestone <= step for milestone in schedule.milestones)


def _as_a_cosine(step: int, iterations: int, recipe: Recipe, schedule: Round) -> float:
    """Half a cosine (Loshchilov and Hutter 2017), 0 after the last step."""
    return (1 + math.cos(math.pi * min(step / iterations, 1))) / 2


_DECAYS: dict[str, Callable[[int, int, Recipe, Round], float]] = {
    "steps": _in_steps,
    "cosine": _as_a_cosine,
}


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a model's weights, to be updated after each step.

    It follows the first steps more closely, or it would remember the initial weights for long.
    Buffers, such as a batch norm's statistics, are those of the last step.

    Args:
        model: the model; it is copied, and nothing of the copy is trained.
        decay: share of the old average that a step keeps, in (0, 1), after many steps.

    Returns:
        the average; `module` is a model with its weights.
    """

    def update(average: Any, now: Any, steps: torch.Tensor | int) -> None:
        count = int(steps)
        get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))(average, now, count)

    average = AveragedModel(model, multi_avg_fn=update)
    return average.requires_grad_(False)
