"""Which validation was the best, whether AP still rises, and what a resumed run knows of it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.engines.validations import Validations
from fiftyone_promerge.training.recipes import RECIPES


@pytest.fixture
def validations(tmp_path):
    """Those of a round in a temporary folder, after so many iterations."""

    def make(patience=2, done=0):
        return Validations(SimpleNamespace(folder=tmp_path, patience=patience), done)

    return make


def test_the_first_and_every_better_one_is_the_best(validations):
    one = validations()
    assert [one.add(step, ap) for step, ap in [(10, 0.0), (20, 0.0), (30, 0.2), (40, 0.1)]] == [
        True,
        False,
        True,
        False,
    ]


def test_it_is_enough_when_patience_is_over(validations):
    for patience, expected in [(1, [0, 0, 0, 1, 1]), (2, [0, 0, 0, 0, 1]), (None, [0] * 5)]:
        one, enough = validations(patience), []
        for step, ap in enumerate([0.1, 0.2, 0.3, 0.3, 0.2], 1):
            one.add(step, ap)
            enough.append(one.is_enough)
        assert enough == [bool(value) for value in expected]


def test_a_resumed_run_forgets_what_comes_after_its_checkpoint(validations):
    one = validations()
    for step, ap in [(10, 0.1), (20, 0.3), (30, 0.2)]:
        one.add(step, ap)
    one.write()
    assert validations(done=30).aps == one.aps
    resumed = validations(done=20)
    assert resumed.aps == {10: 0.1, 20: 0.3}
    assert resumed.add(20, 0.3), "the same validation, done again, is the best again"


@pytest.fixture
def often(monkeypatch, tiny_recipe):
    """The tiny recipe with a validation after each of its four steps."""
    monkeypatch.setitem(RECIPES, "tiny", dataclasses.replace(tiny_recipe, validations=4))


def test_the_best_detector_is_kept_beside_the_last(run, records, tmp_path, often):
    path = run(records, tmp_path)
    best, last = read_checkpoint(path.with_name("best.pt")), read_checkpoint(path)
    assert best.architecture == last.architecture
    # The metrics of the last one are logged in single precision.
    assert best.metrics["AP"] >= last.metrics["AP"] - 1e-6


def test_a_round_ends_when_ap_does_not_rise(run, records, tmp_path, often):
    done = []
    path = run(records, tmp_path, patience=1, progress=lambda step, *_: done.append(step))
    assert path.exists() and done[-1] < 4
    assert not path.with_name("last.ckpt").exists()
    again = []
    run(records, tmp_path, patience=1, progress=lambda step, *_: again.append(step))
    assert not again, "the round is done"
