"""Times pieces of work so that the numbers can be trusted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch


class Stopwatch:
    """Times pieces of work and keeps a row for each.

    Args:
        device: synchronised at the end of each piece.
        repeats: timed runs of each piece, after one that is not timed.

    Attributes:
        rows: `stage`, `median_s` and `min_s`, in seconds per image.
    """

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device = device
        self.repeats = repeats
        self.rows: list[dict[str, Any]] = []

    def seconds(self, work: Callable[[], object]) -> float:
        """What one run of a piece of work takes."""
        start = time.perf_counter()
        work()
        if self.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - start

    def measure(self, stage: str, work: Callable[[], object]) -> float:
        """Times a piece of work on one image, and keeps its row.

        Args:
            stage: what the row is called.
            work: called once untimed, then `repeats` times.

        Returns:
            the median, in seconds.
        """
        self.seconds(work)
        return self.add(stage, [self.seconds(work) for _ in range(self.repeats)])

    def add(self, stage: str, seconds: Sequence[float]) -> float:
        """Keeps a row.

        Args:
            stage: what the row is called.
            seconds: seconds per image of each run.

        Returns:
            their median.
        """
        median = statistics.median(seconds)
        self.rows.append({"stage": stage, "median_s": median, "min_s": min(seconds)})
        return median
