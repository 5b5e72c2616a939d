"""Schedules that fit into a time."""

from __future__ import annotations

import dataclasses

import pytest

from fiftyone_promerge.training.recipes import RECIPES, RecipeError
from fiftyone_promerge.training.recipes.budget import Pace, Work, fitted

CUTLER = dataclasses.replace(RECIPES["cutler"], validations=8)


def test_a_recipe_that_does_not_fit_becomes_shorter():
    changed = fitted(CUTLER, 60, 100, Pace(2.0, 0.5), Work(3, 10, 100))
    iterations = [one.iterations for one in changed.rounds]
    assert iterations[0] == pytest.approx(2 * iterations[1], abs=1)
    seconds = 2 * sum(iterations) + 3 * changed.validations * 10 * 0.5 + 2 * 100 * 0.5
    assert 0.9 * 3500 < seconds < 0.96 * 3500


def test_a_recipe_that_fits_stays_as_it_is():
    small = RECIPES["small"].scaled(300, 1)
    assert fitted(small, 600, 0, Pace(1.0, 0.1), Work(1, 20, 300)) == small


def test_validations_take_no_more_than_a_fifth():
    changed = fitted(CUTLER, 10, 0, Pace(1.0, 1.0), Work(1, 50, 500))
    assert changed.validations == 2


def test_too_little_time_says_how_much_is_needed():
    with pytest.raises(RecipeError, match=r"0\.1 minutes are too few .* some 2\.9 minutes"):
        fitted(CUTLER, 0.1, 10, Pace(3.0, 0.5), Work(1, 10, 100))
