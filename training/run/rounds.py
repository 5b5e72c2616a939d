"""The rounds of a run, with self-training between them, in each process of the world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from fiftyone_promerge.training.data.records import RecordFile
from fiftyone_promerge.training.engines.base import Job, Report, Stop, World, find_engine
from fiftyone_promerge.training.loading import load
from fiftyone_promerge.training.self_training import LabelRule, wait_for, write_labels

from .folder import DETECTOR, RECORDS, SETTINGS, round_folder
from .minutes import fit
from .settings import Settings


def run_rounds(settings: Settings, folder: Path, report: Report, stop: Stop) -> Path:
    """Does the rounds that are not done yet, in each process of the world.

    Args:
        settings: of the run.
        folder: of the run, with the records of the first round.
        report: is called with the iterations done in all rounds, those of the whole run, and
            metrics by name.
        stop: whether to stop.

    Returns:
        the checkpoint of the last round.

    Raises:
        TrainingStoppedError: it was asked to stop.
        PromergeError: the initial weights do not fit, or nothing can be written.
    """
    options, done, detector = settings.options, 0, None
    engine = find_engine(options["engine"])
    first = _job(settings, folder, 0, None, report, stop)
    first.folder.mkdir(exist_ok=True)
    settings = fit(settings, engine, first, folder / SETTINGS)
    for number, schedule in enumerate(settings.recipe.rounds[: options["rounds"]]):
        here = round_folder(folder, number)
        here.mkdir(exist_ok=True)
        later = settings.recipe.rounds[number + 1 : options["rounds"]]
        shifted = _shifted(report, done, sum(one.iterations for one in later), number)
        if detector is not None and not (here / RECORDS).exists():
            _label_round(settings, number, detector, here, shifted, stop)
        job = _job(settings, folder, number, detector, shifted, stop)
        if not job.output.exists():
            engine.train(job)
        wait_for([job.output])
        detector = job.output
        done += schedule.iterations
    assert detector is not None, "a run has at least one round"
    return detector


def _job(
    settings: Settings,
    folder: Path,
    number: int,
    detector: Path | None,
    report: Report,
    stop: Stop,
) -> Job:
    """A round of a run."""
    here, options = round_folder(folder, number), settings.options
    weights = options["weights"]
    return Job(
        records=RecordFile(here / RECORDS),
        first=None if number == 0 else RecordFile(round_folder(folder, 0) / RECORDS),
        labelling=settings.labelling,
        folder=here,
        output=here / DETECTOR,
        recipe=settings.recipe,
        round=number,
        architecture=options["architecture"],
        weights=None if weights is None else Path(weights),
        detector=detector,
        source=settings.source,
        num_workers=options["num_workers"],
        patience=options["patience"],
        pace=settings.pace,
        precision=options["precision"],
        report=report,
        stop=stop,
    )


def _shifted(report: Report, before: int, after: int, number: int) -> Report:
    """The report of a round with so many iterations before and after it, as of the whole run."""

    def shifted(done: int, total: int, metrics: Mapping[str, float]) -> None:
        report(before + done, before + total + after, {"round": number, **metrics})

    return shifted


def _label_round(
    settings: Settings, number: int, detector: Path, here: Path, report: Report, stop: Stop
) -> None:
    """Writes the labels of a round from the detector of the one before."""
    schedule, world = settings.recipe.rounds[number], World.current()
    assert schedule.score_threshold is not None, "only a first round has labels of its own"
    on_cuda = torch.cuda.is_available()
    device = torch.device("cuda", world.local_rank) if on_cuda else torch.device("cpu")

    def is_stopped() -> bool:
        if world.rank == 0:
            report(0, schedule.iterations, {})
        return stop()

    write_labels(
        load(detector, device),
        RecordFile(round_folder(here.parent, number - 1) / RECORDS),
        here / RECORDS,
        LabelRule(schedule.score_threshold, settings.recipe.label_iou),
        num_workers=settings.options["num_workers"],
        world=world,
        stop=is_stopped,
    )
