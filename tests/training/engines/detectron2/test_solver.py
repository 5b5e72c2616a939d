"""The optimizer and the learning rate are CutLER's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training.engines.detectron2.solver import learning_rates, make_optimizer
from fiftyone_promerge.training.recipes import SMOKE


def test_the_optimizer_is_cutlers(job):
    """Norms do not decay, and each parameter's gradient is clipped alone."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    one = job(None, Path())
    optimizer = make_optimizer(one, model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    optimizer.step()
    limit, rate = one.recipe.gradient_norm, one.schedule.learning_rate
    for index, (parameter, old) in enumerate(zip(model.parameters(), before, strict=True)):
        gradient = torch.full_like(old, limit / old.numel() ** 0.5)
        decay = one.recipe.weight_decay * old if index < 2 else 0.0
        torch.testing.assert_close(parameter.detach(), old - rate * (gradient + decay))


def test_the_learning_rate_rises_and_then_falls_at_the_milestones():
    recipe = dataclasses.replace(SMOKE, warmup_iterations=10, warmup_factor=0.1, gamma=0.02)
    schedule = dataclasses.replace(recipe.rounds[0], iterations=100, milestones=(50, 80))
    rates = learning_rates(recipe, schedule)
    for step in range(100):
        expected = 0.1 + 0.9 * step / 10 if step < 10 else 0.02 ** ((step >= 50) + (step >= 80))
        assert rates(step / 100) == pytest.approx(expected), step
