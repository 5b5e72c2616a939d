"""A training run: records, rounds, self-training between them; it resumes at any point."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from fiftyone_promerge.training.checkpoints.checkpoint import OtherLayoutError, read_checkpoint
from fiftyone_promerge.training.data.records import Record, RecordFile, Split, write_records
from fiftyone_promerge.training.engines.base import (
    Detector,
    Job,
    TrainingError,
    TrainingStoppedError,
    World,
    choose_architecture,
    find_engine,
)
from fiftyone_promerge.training.engines.detectron2.weights import import_checkpoint
from fiftyone_promerge.training.recipes import Recipe, find_recipe
from fiftyone_promerge.training.self_training import LabelRule, wait_for, write_labels
from promerge_core import PromergeError

from .launch import launch
from .logs import logged_losses
from .settings import Settings, find_weights

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Is called with the iterations done, those of all rounds, and the latest metrics by name."""

_SETTINGS = "run.json"
_RECORDS = "records.jsonl"
_DETECTOR = "detector.pt"


def train(
    records: Iterable[Record],
    output_dir: str | Path,
    *,
    source: dict[str, Any],
    engine: str = "torchvision",
    recipe: str = "promerge_plus",
    architecture: str | None = None,
    rounds: int | None = None,
    weights: str | Path | None = None,
    batch_size: int | None = None,
    devices: int = 1,
    num_workers: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Trains a class-agnostic detector, or goes on where an earlier call with this folder stopped.

    Under torchrun every process calls it, with a folder that all of them see; that of rank 0 alone
    looks at `records`, `source` and `weights`.

    Args:
        records: the images and their masks; read once, when the run begins, by rank 0.
        output_dir: a folder of the run's own: `round_0`, `round_1`, ... with `records.jsonl`,
            logs, the checkpoint to go on from, and in the end `detector.pt`.
        source: what the records are made from, for the checkpoint: `dataset`, `field`, `images`.
        engine: `torchvision` or `detectron2`.
        recipe: `promerge_plus`, `cutler` or `smoke`.
        architecture: one of the engine's; None is `mask_rcnn`.
        rounds: rounds of the recipe to do; None is all of them.
        weights: state dict of a ResNet-50 to begin with; None downloads DINO's, `random` needs
            none.
        batch_size: images in a step, on all devices together; None follows the devices.
        devices: devices of this machine to train on; torchrun's, where it started us.
        num_workers: processes a device that read images.
        progress: is called after each iteration, and while labels for a next round are made. To
            stop, raise in it: the last checkpoint is written, and what it raised is raised here.

    Returns:
        the checkpoint of the last round.

    Raises:
        PromergeError: the settings, records or weights cannot be used; the message says why.
    """
    folder, world = Path(output_dir).resolve(), World.current()
    chosen = find_recipe(recipe)
    architecture = choose_architecture(engine, architecture)
    find_engine(engine)  # what it is built on may be missing
    rounds = len(chosen.rounds) if rounds is None else rounds
    if not 1 <= rounds <= len(chosen.rounds):
        raise TrainingError(f"the recipe {recipe} has {len(chosen.rounds)} rounds, not {rounds}")
    _check_devices(devices)
    is_new = world.rank == 0 and not (folder / _SETTINGS).exists()
    if world.rank == 0:
        weights_path = find_weights(weights)
        split = _write_first_records(records, folder, chosen)
        settings = Settings(
            engine=engine,
            architecture=architecture,
            recipe=chosen.scaled(sum(map(len, split)), max(devices, world.world_size), batch_size),
            rounds=rounds,
            weights=weights_path,
            source=source,
            num_workers=num_workers,
        )
        settings.save(folder / _SETTINGS)
        settings.print_choices()
    wait_for([folder / _SETTINGS])
    settings = dataclasses.replace(Settings.load(folder / _SETTINGS), rounds=rounds)
    total = sum(one.iterations for one in settings.recipe.rounds[:rounds])
    listener = _Listener(progress, total)
    try:
        if devices > 1 and world.world_size == 1:
            launch(folder, devices, listener.report, listener.stop)
            return _round_folder(folder, rounds - 1) / _DETECTOR
        return run_rounds(settings, folder, listener.report, listener.stop)
    except TrainingStoppedError:
        if listener.raised is not None:
            raise listener.raised from None
        raise
    except PromergeError:
        if is_new and not listener.done:
            # What could not begin, of weights that do not fit for one, may begin otherwise.
            (folder / _SETTINGS).unlink()
        raise
    finally:
        listener.close()


class _Listener:
    """Shows a bar and calls a person's progress function; once that has raised, the run is to stop.

    Args:
        progress: the function.
        total: iterations of the whole run.

    Attributes:
        done: iterations done.
        raised: what it raised.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._bar: tqdm | None = None
        self.done = 0
        self.raised: BaseException | None = None

    def report(self, done: int, metrics: Mapping[str, float]) -> None:
        self.done = done
        self._show(done, metrics)
        if self._progress is None or self.raised is not None:
            return
        try:
            self._progress(done, self._total, metrics)
        except BaseException as error:  # also KeyboardInterrupt: it is raised again after the stop
            self.raised = error

    def _show(self, done: int, metrics: Mapping[str, float]) -> None:
        if self._bar is None:  # a run that goes on begins in its middle
            self._bar = tqdm(total=self._total, initial=done, unit="iteration", mininterval=1)
        shown = {name: metrics[name] for name in ("round", "loss", "AP") if name in metrics}
        if done > self._bar.n:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def stop(self) -> bool:
        return self.raised is not None


def run_rounds(
    settings: Settings,
    folder: Path,
    report: Callable[[int, Mapping[str, float]], None],
    stop: Callable[[], bool],
) -> Path:
    """Does the rounds that are not done yet, in each process of the world.

    Args:
        settings: of the run.
        folder: of the run, with the records of the first round.
        report: is called with the iterations done in all rounds, and metrics by name.
        stop: whether to stop.

    Returns:
        the checkpoint of the last round.
    """
    engine, done, detector = find_engine(settings.engine), 0, None
    for number, schedule in enumerate(settings.recipe.rounds[: settings.rounds]):
        here = _round_folder(folder, number)
        here.mkdir(exist_ok=True)
        if detector is not None and not (here / _RECORDS).exists():
            _label_round(settings, number, detector, here, _shifted(report, done, number), stop)
        job = Job(
            records=RecordFile(here / _RECORDS),
            folder=here,
            output=here / _DETECTOR,
            recipe=settings.recipe,
            round=number,
            architecture=settings.architecture,
            weights=None if settings.weights is None else Path(settings.weights),
            detector=detector,
            source=settings.source,
            num_workers=settings.num_workers,
            report=_shifted(report, done, number),
            stop=stop,
        )
        if not job.output.exists():
            engine.train(job)
        wait_for([job.output])
        detector = job.output
        done += schedule.iterations
    assert detector is not None, "a run has at least one round"
    return detector


def load(path: str | Path, device: torch.device) -> Detector:
    """Loads a detector that `train` wrote, or one of CutLER's code.

    Raises:
        CheckpointError: it cannot be read without executing it, or does not fit its architecture.
        MissingExtraError: the library of its engine is not installed.
    """
    try:
        checkpoint = read_checkpoint(path)
    except OtherLayoutError:
        checkpoint = import_checkpoint(path)
    return find_engine(checkpoint.engine).load(checkpoint, device)


def label_records(output_dir: str | Path) -> dict[int, RecordFile]:
    """The labels that self-training made in a run so far, by round from 1."""
    folder, found = Path(output_dir), {}
    for number in range(1, len(list(folder.glob("round_*")))):
        path = _round_folder(folder, number) / _RECORDS
        if path.exists():
            found[number] = RecordFile(path)
    return found


def loss_curve(output_dir: str | Path) -> dict[int, float]:
    """The losses that a run has logged so far, by iteration, counted over all rounds from 1.

    It is empty where there is no run, or none any more.
    """
    folder, done = Path(output_dir), 0
    if not (folder / _SETTINGS).exists():
        return {}
    curve = {}
    for number, schedule in enumerate(Settings.load(folder / _SETTINGS).recipe.rounds):
        for iteration, loss in logged_losses(_round_folder(folder, number)):
            if math.isfinite(loss):
                curve[done + iteration] = loss
        done += schedule.iterations
    return dict(sorted(curve.items()))


def _round_folder(folder: Path, number: int) -> Path:
    return folder / f"round_{number}"


def _check_devices(devices: int) -> None:
    if devices < 1:
        raise TrainingError(f"devices is {devices}; at least one is needed")
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise TrainingError(
            f"devices is {devices}, and this machine has {torch.cuda.device_count()} GPUs"
        )


def _write_first_records(records: Iterable[Record], folder: Path, recipe: Recipe) -> Split:
    """Writes the records of a run that has not begun; without settings it has not."""
    path = _round_folder(folder, 0) / _RECORDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{path.parent} cannot be made: {error.strerror}") from error
    if not (folder / _SETTINGS).exists():
        write_records(path, records)
    return RecordFile(path).split(recipe.validation_fraction, recipe.max_validation_images)


def _shifted(
    report: Callable[[int, Mapping[str, float]], None], before: int, number: int
) -> Callable[[int, Mapping[str, float]], None]:
    """The report of a round, told as one of the whole run."""

    def shifted(done: int, metrics: Mapping[str, float]) -> None:
        report(before + done, {"round": number, **metrics})

    return shifted


def _label_round(
    settings: Settings,
    number: int,
    detector: Path,
    here: Path,
    report: Callable[[int, Mapping[str, float]], None],
    stop: Callable[[], bool],
) -> None:
    """Writes the labels of a round from the detector of the one before."""
    schedule, world = settings.recipe.rounds[number], World.current()
    assert schedule.score_threshold is not None, "only a first round has labels of its own"
    on_cuda = torch.cuda.is_available()
    device = torch.device("cuda", world.local_rank) if on_cuda else torch.device("cpu")

    def is_stopped() -> bool:
        if world.rank == 0:
            report(0, {})
        return stop()

    write_labels(
        load(detector, device),
        RecordFile(_round_folder(here.parent, number - 1) / _RECORDS),
        here / _RECORDS,
        LabelRule(schedule.score_threshold, settings.recipe.label_iou),
        num_workers=settings.num_workers,
        world=world,
        stop=is_stopped,
    )
