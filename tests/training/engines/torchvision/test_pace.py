"""A trial of a few steps, and what it is timed by."""

from __future__ import annotations

import pytest

from fiftyone_promerge.training.engines.torchvision.pace import Timer


def test_the_first_steps_do_not_count():
    timer = Timer()
    timer.steps = [100.0, 160.0, 170.0, 172.0, 174.0, 176.0]
    timer.predictions = [3.0, 5.0]
    pace = timer.pace(processes=2)
    assert pace.step == pytest.approx(2.0)
    assert pace.image == pytest.approx(2.0)
