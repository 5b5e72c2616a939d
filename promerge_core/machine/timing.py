"""Seconds per stage of a run."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator

import torch


class Timer:
    """Adds up the seconds each named stage takes.

    Args:
        device: synchronised at both ends of a stage, so that a stage's time is its own.

    Attributes:
        seconds: stage name -> seconds so far.
        images: number of images so far.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.images = 0

    def reset(self) -> None:
        """Starts again from zero."""
        self.seconds.clear()
        self.images = 0

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block of code as part of the stage of that name."""
        start = self._now()
        yield
        self.seconds[name] += self._now() - start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
