"""The validations of a round: which of its detectors is the best, and whether AP still rises."""

from __future__ import annotations

import json

from .base import VALIDATIONS, Job


class Validations:
    """The APs that were measured in a round, kept beside its checkpoints.

    Every process of the `World` that measures AP has its own, with the same numbers; the file is
    written by that of rank 0.

    Args:
        job: the round.
        done: iterations done. Validations after them, of a run that was killed later, are
            forgotten: they are done again.

    Attributes:
        aps: AP by the number of iterations after which it was measured.
    """

    def __init__(self, job: Job, done: int) -> None:
        self._patience = job.patience
        self._path = job.folder / VALIDATIONS
        stored = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        self.aps = {int(step): ap for step, ap in stored.items() if int(step) <= done}

    def add(self, done: int, ap: float) -> bool:
        """Adds a validation.

        Args:
            done: iterations done.
            ap: the AP, in [0, 1].

        Returns:
            whether it is the best of the round so far.
        """
        is_best = all(ap > other for step, other in self.aps.items() if step != done)
        self.aps[done] = ap
        return is_best

    def write(self) -> None:
        """Keeps them for a run that continues; a reader never sees half of them."""
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self.aps), encoding="utf-8")
        partial.replace(self._path)

    @property
    def is_enough(self) -> bool:
        """Whether as many validations as the job's patience came after the best one."""
        if self._patience is None or not self.aps:
            return False
        aps = [self.aps[step] for step in sorted(self.aps)]
        return len(aps) - 1 - aps.index(max(aps)) >= self._patience
