"""Runs that have only so many minutes."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from fiftyone_promerge.training.engines.torchvision import plan
from fiftyone_promerge.training.recipes import RECIPES, RecipeError
from fiftyone_promerge.training.recipes.changes import with_iterations
from fiftyone_promerge.training.run.settings import Settings

LIKE_SMALL = ("optimizer", "decay", "norm", "average", "crop_scales", "jitter", "bfloat16")
"""What makes the recipe `small` another than CutLER's, besides its sizes."""


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


# The clock of a run of 6,000 s, first of the trial that is timed: after its first validation, with
# five of eight steps done, it is too slow by a fifth.
CLOCK = """
import types
from fiftyone_promerge.training.engines.torchvision import plan
plan.time = types.SimpleNamespace(monotonic=iter([0.0, 0.0, 4604.0]).__next__)
"""


def test_a_shortened_run_that_is_killed_ends_where_the_other_one_does(
    monkeypatch, tiny_recipe, run, records, tmp_path, kill_after, state, assert_same
):
    """The schedule that the pace has made is in the checkpoint: no clock is asked for it again."""
    recipe = dataclasses.replace(
        with_iterations(tiny_recipe, 8),
        **{name: getattr(RECIPES["small"], name) for name in LIKE_SMALL},
        crop=48,
        validations=2,
        checkpoints=8,
    )
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    options = {"minutes": 100.0, "architecture": "mask_rcnn_small"}
    monkeypatch.setattr(plan, "time", SimpleNamespace(monotonic=iter([0.0, 0.0, 4604.0]).__next__))
    calls = []
    whole = run(records, tmp_path / "whole", progress=lambda *one: calls.append(one[:2]), **options)
    assert calls == [*((done, 8) for done in range(1, 5)), (5, 6), (6, 6)]

    (tmp_path / "images").mkdir()
    kill_after(6, tmp_path / "images", tmp_path / "parts", first=CLOCK, **options)
    monkeypatch.setattr(plan, "time", SimpleNamespace(monotonic=iter([0.0]).__next__))
    parts = run(records, tmp_path / "parts", **options)
    assert_same(state(whole), state(parts))


def test_too_few_minutes_are_one_sentence_and_nothing_has_begun(run, records, tmp_path):
    with pytest.raises(RecipeError, match=r"0\.001 minutes are too few for 4 iterations"):
        run(records, tmp_path / "run", minutes=0.001)
    assert not (tmp_path / "run" / "run.json").exists()
