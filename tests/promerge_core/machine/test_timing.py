"""Seconds per stage add up, each stage on its own."""

from __future__ import annotations

import time

import pytest
import torch

from promerge_core.machine.timing import Timer


@pytest.fixture
def timer():
    return Timer(torch.device("cpu"))


def test_seconds_of_a_stage_add_up_on_their_own(timer):
    start = time.perf_counter()
    for stage, seconds in (("read", 0.02), ("write", 0.05), ("read", 0.03)):
        with timer.stage(stage):
            time.sleep(seconds)
    assert list(timer.seconds) == ["read", "write"]
    assert min(timer.seconds.values()) >= 0.05
    assert sum(timer.seconds.values()) <= time.perf_counter() - start


def test_a_stage_that_fails_is_not_counted(timer):
    with pytest.raises(KeyError), timer.stage("read"):
        raise KeyError
    assert timer.seconds == {}


def test_a_timer_starts_again_from_zero(timer):
    with timer.stage("read"):
        timer.images += 3
    timer.reset()
    assert (timer.images, timer.seconds) == (0, {})
