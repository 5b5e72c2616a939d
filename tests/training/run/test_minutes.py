"""Runs that have only so many minutes."""

from __future__ import annotations

import dataclasses

import pytest

from fiftyone_promerge.training.recipes import RECIPES, RecipeError
from fiftyone_promerge.training.run.settings import Settings


@pytest.fixture
def averaging(monkeypatch, tiny_recipe):
    """The recipe `tiny` with a moving average and crops."""
    recipe = dataclasses.replace(
        tiny_recipe,
        average=0.9,
        optimizer="adamw",
        decay="cosine",
        norm="group",
        crop=48,
    )
    monkeypatch.setitem(RECIPES, "tiny", recipe)


def test_a_run_with_time_is_the_recipes_and_continues_to_the_same_weights(
    averaging, run, records, tmp_path, state, assert_same
):
    whole = run(records, tmp_path / "whole", minutes=100.0)
    settings = Settings.load(tmp_path / "whole" / "run.json")
    assert settings.pace is not None and settings.recipe.rounds[0].iterations == 4
    assert settings.reasons[-1].startswith("4 iterations, all that the recipe has: 100 minutes at")

    def stop(done, total, metrics):
        if done == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        run(records, tmp_path / "parts", minutes=100.0, progress=stop)
    parts = run(records, tmp_path / "parts", minutes=100.0)
    assert_same(state(whole), state(parts))


def test_too_few_minutes_are_one_sentence_and_nothing_has_begun(run, records, tmp_path):
    with pytest.raises(RecipeError, match=r"0\.001 minutes are too few for 4 iterations"):
        run(records, tmp_path / "run", minutes=0.001)
    assert not (tmp_path / "run" / "run.json").exists()
