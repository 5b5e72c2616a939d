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
        (["--recipe", "none"], "'none' is not one of"),
        (["--engine", "none"], "'none' is not one of"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_loaded(promerge, flags, said):
    result = promerge("train", "nothing", *flags)
    assert result.exit_code == 2
    assert said in promerge.message(result)


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
