"""Plans that keep to their time."""

from __future__ import annotations

import pytest

from fiftyone_promerge.training.engines.torchvision.plan import Plan


@pytest.fixture
def clock(monkeypatch):
    """The time, as a list of one number."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_without_a_limit_nothing_changes(clock):
    plan = Plan(100, None)
    plan.begin(0)
    clock[0] = 1e6
    assert plan.revised(10) == plan.state() == {"iterations": 100, "pace": None}


def test_a_slower_machine_does_fewer_iterations_and_a_faster_one_all(clock):
    plan = Plan(100, 1.0)
    plan.begin(0)
    clock[0] = 30.0
    plan.load(plan.revised(20))  # 1.5 s each; 70 s are left
    assert plan.iterations == 20 + int(70 / 1.5)
    clock[0] = 35.0
    plan.load(plan.revised(40))
    assert plan.iterations == 100
    clock[0] = 500.0
    assert plan.revised(50)["iterations"] == 51


def test_a_run_that_continues_has_the_time_that_was_left(clock):
    plan = Plan(100, 1.0)
    plan.begin(0)
    clock[0] = 40.0
    state = plan.revised(20)
    later = Plan(100, 1.0)
    later.load(state)
    clock[0] = 1000.0
    later.begin(20)
    clock[0] = 1020.0
    assert later.revised(30)["iterations"] == later.iterations == 50
