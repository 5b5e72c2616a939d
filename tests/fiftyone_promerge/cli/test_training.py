"""Flags of `promerge train`, and what Ctrl-C does in it; see test_detectors.py for trainings."""

from __future__ import annotations

import signal

import pytest

from fiftyone_promerge.cli.training import _Interruptible
from fiftyone_promerge.training import ENGINES, RECIPES, TrainingOptions


def test_help_lists_every_option_and_choice(promerge):
    shown = promerge.message(promerge("train", "--help"))
    for one in TrainingOptions.parameters():
        assert "--" + one.name.replace("_", "-") in shown
    for name in [*ENGINES, *RECIPES]:
        assert name in shown


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--rounds", "0"], "not in the range"),
        (["--devices", "0"], "not in the range"),
        (["--engine", "none"], "'none' is not one of"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_loaded(promerge, flags, said):
    result = promerge("train", "nothing", *flags)
    assert result.exit_code == 2
    assert said in promerge.message(result)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none", "", "no recipe 'none'; there are promerge_plus, cutler, small, smoke, or give"),
        ("none.yaml", "", "there is no recipe file at none.yaml"),
        (
            "mine.yaml",
            "base: small\ncrops: 320",
            "mine.yaml: there is no 'crops' in a recipe; did you mean crop",
        ),
    ],
)
def test_a_wrong_recipe_is_one_sentence_before_anything_is_loaded(
    promerge, tmp_path, monkeypatch, name, text, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    result = promerge("train", "nothing", "--output", "run", "--recipe", name)
    assert result.exit_code == 1
    assert said in promerge.message(result)
    assert not (tmp_path / "run").exists()


def test_the_first_interrupt_waits_for_the_iteration_and_the_second_does_not():
    before = signal.getsignal(signal.SIGINT)
    try:
        progress = _Interruptible()
        progress(1, 2, {})
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            progress(2, 2, {})
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
