"""How far a run is and how long it still takes, in words."""

from __future__ import annotations

import time
from collections.abc import Callable

_MINUTE, _HOUR = 60, 3600


def duration(seconds: float) -> str:
    """A time as a person says it: `40 seconds`, `28 minutes`, `3.5 hours`."""
    if seconds < 1.5:
        return "1 second"
    if seconds < 1.5 * _MINUTE:
        return f"{round(seconds)} seconds"
    if seconds < 1.5 * _HOUR:
        return f"{round(seconds / _MINUTE)} minutes"
    return f"{seconds / _HOUR:.1f} hours"


class Progress:
    """Says how far a run is, and from the first image on how long the rest takes.

    Args:
        doing: what is being done to the images, such as `Segmenting`.
        total: how many images there are.
        clock: gives the time in seconds.
    """

    def __init__(self, doing: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._doing = doing
        self._total = total
        self._clock = clock
        self._start = clock()

    def share(self, done: int) -> float:
        """The fraction of the images that is done, in [0, 1]."""
        return min(done / max(self._total, 1), 1.0)

    def line(self, done: int) -> str:
        """A line such as `Segmenting: 3 of 30, about 12 minutes left`."""
        line = f"{self._doing}: {done:,} of {self._total:,}"
        if not 0 < done < self._total:
            return line
        left = (self._clock() - self._start) / done * (self._total - done)
        return f"{line}, about {duration(left)} left"
