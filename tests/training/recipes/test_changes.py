"""Numbers of a recipe that a person changes, and what follows them."""

from __future__ import annotations

from fiftyone_promerge.training.recipes import RECIPES
from fiftyone_promerge.training.recipes.changes import (
    with_image_size,
    with_iterations,
    with_learning_rate,
)

CUTLER = RECIPES["cutler"]


def test_all_rounds_milestones_and_the_warm_up_follow_the_iterations():
    changed = with_iterations(CUTLER, 1600)
    assert [one.iterations for one in changed.rounds] == [1600, 800, 800]
    assert changed.rounds[0].milestones == (800,)
    assert changed.warmup_iterations == 80


def test_the_other_rounds_follow_the_learning_rate():
    changed = with_learning_rate(CUTLER, 0.003)
    assert changed.rounds[0].learning_rate == 0.003
    assert [one.learning_rate for one in changed.rounds[1:]] == [0.0015, 0.0015]


def test_sizes_in_training_follow_that_in_prediction():
    changed = with_image_size(RECIPES["smoke"], 64)
    assert (changed.test_short_side, changed.short_sides) == (64, (48, 56, 64))
    assert changed.long_side == 96
