"""The stopwatch: how often it runs what it times, and the rows it keeps."""

from __future__ import annotations

import time

import torch

from promerge_core.profile.stopwatch import Stopwatch


def test_work_is_run_once_untimed_and_then_timed():
    waits = [0.01, 0.07, 0.05, 0.06]
    watch = Stopwatch(torch.device("cpu"), repeats=3)
    median = watch.measure("sleep", lambda: time.sleep(waits.pop(0)))
    assert waits == []
    (row,) = watch.rows
    assert (row["stage"], row["median_s"]) == ("sleep", median)
    assert median >= 0.06
    assert median > row["min_s"] >= 0.05


def test_rows_are_kept_in_order_with_median_and_minimum():
    watch = Stopwatch(torch.device("cpu"), repeats=3)
    assert watch.add("first", [3.0, 1.0, 2.5]) == 2.5
    assert watch.add("second", [4.0, 1.0]) == 2.5
    assert watch.rows == [
        {"stage": "first", "median_s": 2.5, "min_s": 1.0},
        {"stage": "second", "median_s": 2.5, "min_s": 1.0},
    ]
