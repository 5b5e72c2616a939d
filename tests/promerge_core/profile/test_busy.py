"""Busy programs compute as long as they are asked to, and no longer."""

from __future__ import annotations

import psutil
import pytest

from promerge_core.profile.busy import busy_programs


def test_programs_are_there_for_as_long_as_something_is_measured():
    with pytest.raises(ZeroDivisionError), busy_programs(2) as ids:
        assert len(set(ids)) == 2
        assert all(psutil.Process(one).is_running() for one in ids)
        raise ZeroDivisionError
    assert not any(psutil.pid_exists(one) for one in ids)
