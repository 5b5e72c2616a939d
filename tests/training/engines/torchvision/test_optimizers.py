"""What a recipe's words make: optimizers, decays, moving averages."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from fiftyone_promerge.training.engines.torchvision.optimizers import (
    averaged,
    make_optimizer,
    relative_rate,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    frozen = nn.Linear(3, 3).requires_grad_(False)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), frozen)


@pytest.mark.parametrize(
    ("name", "kind", "decaying", "others"),
    [
        ("sgd", torch.optim.SGD, ["0.weight", "0.bias"], ["1.weight", "1.bias", "2.weight"]),
        ("adamw", torch.optim.AdamW, ["0.weight"], ["0.bias", "1.weight", "1.bias", "2.weight"]),
    ],
)
def test_what_decays(model, tiny_recipe, name, kind, decaying, others):
    recipe = dataclasses.replace(tiny_recipe, optimizer=name, weight_decay=0.25)
    optimizer = make_optimizer(model, recipe, recipe.rounds[0])
    assert isinstance(optimizer, kind)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [[names[id(one)] for one in group["params"]] for group in optimizer.param_groups]
    assert groups == [decaying, [*others, "2.bias"]]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25, 0.0]
    assert {group["lr"] for group in optimizer.param_groups} == {recipe.rounds[0].learning_rate}


def test_the_rate_rises_and_then_falls_as_a_cosine(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, decay="cosine", warmup_iterations=10, warmup_factor=0.1
    )
    rates = [relative_rate(step, 100, recipe, recipe.rounds[0]) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == max(rates)
    assert rates[50] == pytest.approx(0.5)
    assert rates[75] == pytest.approx((1 + math.cos(0.75 * math.pi)) / 2)
    assert rates[100] == pytest.approx(0)
    assert all(before > after for before, after in pairwise(rates[10:]))


def test_the_average_is_the_formulas(model):
    average = averaged(model, 0.5)
    first = nn.utils.parameters_to_vector(model.parameters()).clone()
    expected = first
    for count in range(12):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        now = first + count + 1
        keep = 0 if count == 0 else min(0.5, (1 + count) / (10 + count))
        expected = keep * expected + (1 - keep) * now
        average.update_parameters(model)
        found = nn.utils.parameters_to_vector(average.module.parameters())
        torch.testing.assert_close(found, expected)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert any(parameter.requires_grad for parameter in model.parameters())


def test_the_average_has_the_last_statistics(model):
    average = averaged(model, 0.9)
    for _ in range(3):
        model[2].running_mean.add_(1.0)
        average.update_parameters(model)
    assert torch.equal(average.module[2].running_mean, model[2].running_mean)
