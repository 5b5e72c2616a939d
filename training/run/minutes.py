"""Fits a run into the minutes that it may take."""

from __future__ import annotations

import time
from pathlib import Path

from fiftyone_promerge.training.engines.base import EngineModule, Job, World
from fiftyone_promerge.training.recipes.budget import Work, fitted

from .settings import Settings


def fit(settings: Settings, engine: EngineModule, job: Job, path: Path) -> Settings:
    """Times the first round on this machine, and sets the iterations of all rounds.

    It is done once: a run that continues keeps its numbers.

    Args:
        settings: of the run.
        engine: that of the settings.
        job: the first round.
        path: file of the settings; the process of rank 0 writes to it what was chosen.

    Returns:
        the settings with the numbers to train with.

    Raises:
        RecipeError: there is no time for a run.
    """
    minutes, rounds = settings.options["minutes"], settings.options["rounds"]
    if minutes is None or settings.pace is not None:
        return settings
    start = time.monotonic()
    pace = engine.measure(job)
    spent = time.monotonic() - start
    work = Work(rounds, len(job.split.validation), len(job.records))
    recipe = fitted(settings.recipe, minutes, spent, pace, work)
    iterations = sum(one.iterations for one in recipe.rounds[:rounds])
    whole = sum(one.iterations for one in settings.recipe.rounds[:rounds])
    which = "all that the recipe has" if iterations == whole else f"of the recipe's {whole:,}"
    reason = (
        f"{iterations:,} iterations, {which}: {minutes:g} minutes at {pace.step:.2g} s per step"
    )
    settings = settings._replace(
        recipe=recipe,
        pace=(60 * minutes - spent) / iterations,
        reasons=(*settings.reasons, reason),
    )
    if World.current().rank == 0:
        settings.write(path)
        print(f"  {reason}")
    return settings
