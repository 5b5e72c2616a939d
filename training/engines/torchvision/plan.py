"""How many iterations a round has, where it has only so much time."""

from __future__ import annotations

import time
from typing import Any


class Plan:
    """The iterations of a round: its schedule's, or fewer once the machine is slower than timed.

    Args:
        iterations: of the schedule.
        pace: seconds that an iteration may take, validations included; None: there is no limit.

    Attributes:
        iterations: steps that the round has now.
    """

    def __init__(self, iterations: int, pace: float | None) -> None:
        self.iterations = iterations
        self._most = iterations
        self._pace = pace

    def begin(self, step: int) -> None:
        """Starts the clock; `step` iterations are done."""
        self._last = (step, time.monotonic())
        if self._pace is not None:
            self._end = self._last[1] + (self.iterations - step) * self._pace

    def revised(self, step: int) -> dict[str, Any]:
        """What is still to be done, at the pace since the last time this was asked.

        Args:
            step: iterations done.

        Returns:
            the state of the plan that keeps to the time, for `load`: fewer iterations, or up to
            the schedule's again where there were fewer before.
        """
        if self._pace is None:
            return self.state()
        now = time.monotonic()
        pace = (now - self._last[1]) / (step - self._last[0])
        self._last = (step, now)
        iterations = min(step + max(int((self._end - now) / pace), 1), self._most)
        fits = iterations == self._most
        return {"iterations": iterations, "pace": self._pace if fits else pace}

    def state(self) -> dict[str, Any]:
        """The plan, for a checkpoint."""
        return {"iterations": self.iterations, "pace": self._pace}

    def load(self, state: dict[str, Any]) -> None:
        """Takes the plan of a checkpoint."""
        self.iterations, self._pace = state["iterations"], state["pace"]
