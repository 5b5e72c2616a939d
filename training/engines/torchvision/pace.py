"""How fast this machine trains a round: a few steps that are timed and thrown away."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from fiftyone_promerge.training.engines.base import Job
from fiftyone_promerge.training.recipes.budget import Pace
from fiftyone_promerge.training.recipes.changes import with_iterations

_UNTIMED = 3  # the first steps: memory is reserved, and the loader is ahead
_TIMED = 5
TRIAL_IMAGES = 4
"""How many images a process predicts in a trial."""


class Timer(pl.Callback):
    """Times steps and predictions of a trial that is thrown away.

    Attributes:
        steps: when each step was done, in seconds.
        predictions: how long each image took, in seconds.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.predictions: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        """See `lightning.pytorch.Callback`."""
        self.steps.append(time.perf_counter())

    def on_validation_batch_start(self, *args: Any) -> None:
        """See `lightning.pytorch.Callback`."""
        self._start = time.perf_counter()

    def on_validation_batch_end(self, *args: Any) -> None:
        """See `lightning.pytorch.Callback`."""
        self.predictions.append(time.perf_counter() - self._start)

    def pace(self, processes: int) -> Pace:
        """What was measured; `processes` predict at the same time."""
        step = (self.steps[-1] - self.steps[_UNTIMED - 1]) / (len(self.steps) - _UNTIMED)
        return Pace(step, sum(self.predictions) / len(self.predictions) / processes)


def trial_of(job: Job, folder: Path) -> Job:
    """A few steps of a round, to be timed and thrown away.

    Args:
        job: the round.
        folder: for what a round writes.

    Returns:
        the trial; it begins with the same weights and samples.
    """
    recipe = with_iterations(job.recipe, _UNTIMED + _TIMED)
    recipe = dataclasses.replace(recipe, validations=1, rounds=recipe.rounds[:1])
    return dataclasses.replace(
        job, folder=folder, output=folder / "detector.pt", recipe=recipe, pace=None, patience=None
    )
