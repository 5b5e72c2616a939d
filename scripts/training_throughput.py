"""How fast a training is, and how fast it would be if its images cost nothing.

    promerge train photos --output runs/photos     # it may be stopped at its first iteration
    python scripts/training_throughput.py runs/photos --steps 20 --workers 2

Takes the records and settings of a run, and changes nothing of it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import tempfile
import time
from pathlib import Path

from torch.utils.data import DataLoader

from fiftyone_promerge.training.data.records import RecordFile
from fiftyone_promerge.training.engines.base import Job, TrainingStoppedError, World
from fiftyone_promerge.training.engines.torchvision.engine import make_trainer
from fiftyone_promerge.training.engines.torchvision.lightning_module import (
    DetectorModule,
    make_loader,
)
from fiftyone_promerge.training.run.settings import Settings

_BATCHES_IN_MEMORY = 8


class InMemory(DetectorModule):
    """A round of training whose first batches are all it has, and in memory."""

    def train_dataloader(self) -> DataLoader:
        """The batches; Lightning starts again where they end."""
        batches = list(itertools.islice(super().train_dataloader(), _BATCHES_IN_MEMORY))
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def training(job: Job, module: type[DetectorModule], steps: int, warm_up: int) -> float:
    """Images a second of the engine, after some steps to warm up."""
    times: list[float] = []
    job = dataclasses.replace(
        job,
        report=lambda done, metrics: times.append(time.perf_counter()),
        stop=lambda: len(times) > warm_up + steps,
    )
    with contextlib.suppress(TrainingStoppedError):
        make_trainer(job, World()).fit(module(job, World()))
    return steps * job.recipe.batch_size / (times[-1] - times[warm_up])


def loading(job: Job, steps: int, warm_up: int) -> float:
    """Images a second of the loader alone."""
    steps_of_it = itertools.islice(make_loader(job, World()), warm_up + steps + 1)
    times = [time.perf_counter() for _ in steps_of_it]
    return steps * job.recipe.batch_size / (times[-1] - times[warm_up])


def main() -> None:
    """Prints the three rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = Settings.load(options.run / "run.json")
    # So many batches are loaded ahead: they are no measure of what is loaded meanwhile.
    warm_up = 2 * options.workers + 1
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            records=RecordFile(options.run / "round_0" / "records.jsonl"),
            folder=Path(folder),
            output=Path(folder, "detector.pt"),
            recipe=settings.recipe,
            round=0,
            architecture=settings.options["architecture"],
            weights=None,
            detector=None,
            source=settings.source,
            num_workers=options.workers,
            patience=None,
            report=lambda done, metrics: None,
            stop=lambda: False,
        )
        print(f"{settings.recipe.name}, {settings.recipe.batch_size} images in a step")
        rates = {
            "loader alone": lambda: loading(job, options.steps, warm_up),
            "model alone": lambda: training(job, InMemory, options.steps, warm_up),
            "both": lambda: training(job, DetectorModule, options.steps, warm_up),
        }
        for name, rate in rates.items():
            print(f"{name}: {rate():.2f} images/s", flush=True)


if __name__ == "__main__":
    main()
