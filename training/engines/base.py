"""What every engine is given and gives: the job, the processes, the detector."""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.registry import ENGINES, Engine
from promerge_core import PromergeError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from fiftyone_promerge.training.checkpoints.checkpoint import Checkpoint
    from fiftyone_promerge.training.data.records import RecordFile, Split
    from fiftyone_promerge.training.recipes import Recipe, Round
    from fiftyone_promerge.training.recipes.budget import Pace
    from promerge_core import Mask


class TrainingError(PromergeError):
    """Training cannot start or continue; the message says why and what to do."""


class TrainingStoppedError(TrainingError):
    """Training was asked to stop; the last checkpoint is kept, and the same call continues."""


Report = Callable[[int, int, Mapping[str, float]], None]
"""Is called with the iterations done, how many there are to do as far as is known now, and the
latest metrics by name (`loss`, `AP`, ...)."""

Stop = Callable[[], bool]
"""Says whether to stop."""

VALIDATIONS = "validations.json"
"""In the folder of a round: AP by the number of iterations done."""

PICTURES = "validation"
"""In the folder of a round: the pictures of its validations, named by the iterations done."""


class World(NamedTuple):
    """The processes that train together, as torchrun tells each of them.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
        local_rank: number of this process on its node.
        local_world_size: processes on its node; nodes must have equally many.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def current(cls) -> World:
        """That of torchrun's environment; without it, one process alone."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(*(int(os.environ[name.upper()]) for name in cls._fields))


@dataclasses.dataclass(frozen=True)
class Job:
    """One round of training. Every process of the `World` calls `EngineModule.train` with the same.

    Attributes:
        records: the labels of this round.
        folder: for the engine's checkpoints and logs; the round continues from those of a run
            that was stopped or killed.
        output: file of the trained detector, to be written last, by the process of rank 0.
        recipe: scaled to the images and devices.
        round: round of the recipe, from 0.
        architecture: one of the engine's.
        weights: file of a backbone, such as DINO's, or of a detector to begin with; None is random.
        detector: checkpoint of the round before to begin with instead.
        source: what the records are made from, for the checkpoint.
        num_workers: processes per device that read images.
        patience: how many validations without a better AP end the round; None: none do.
        pace: seconds that an iteration may take, validations included; None: there is no limit.
        precision: the number type to train in, a name of `promerge_core.options.DTYPES`.
        first: the labels of the first round, if this is a later one: what AP is measured on there
            is not trained on in any round.
        labelling: the classes of the labels.
        report: to be called by the process of rank 0 after each iteration of this round.
        stop: to be asked by the process of rank 0 after each report. If so, all processes write
            their last checkpoint and raise `stopped`.
    """

    records: RecordFile
    folder: Path
    output: Path
    recipe: Recipe
    round: int
    architecture: str
    weights: Path | None
    detector: Path | None
    source: dict[str, Any]
    num_workers: int
    patience: int | None
    report: Report
    stop: Stop
    pace: float | None = None
    precision: str = "auto"
    first: RecordFile | None = None
    labelling: Labelling = CLASS_AGNOSTIC

    @property
    def schedule(self) -> Round:
        """The numbers of this round."""
        return self.recipe.rounds[self.round]

    @functools.cached_property
    def split(self) -> Split:
        """The images to train on, and those to measure AP on."""
        recipe = self.recipe
        split = (self.first or self.records).split(
            recipe.validation_fraction, recipe.max_validation_images, recipe.min_validation_images
        )
        return split if self.first is None else self.records.without(split.validation)

    @property
    def best(self) -> Path:
        """File of the detector with the highest AP on the validation images."""
        return self.output.with_name("best.pt")

    def stopped(self, done: int) -> TrainingStoppedError:
        """The error that tells of a stop after so many iterations of this round."""
        return TrainingStoppedError(
            f"stopped after {done} of {self.schedule.iterations} iterations of round "
            f"{self.round}; the same call continues from there"
        )


class Detector(abc.ABC):
    """A trained detector.

    Attributes:
        device: where it computes.
    """

    device: torch.device

    @abc.abstractmethod
    def predict(self, images: Sequence[np.ndarray]) -> list[list[Mask]]:
        """Masks of images.

        Args:
            images: uint8 arrays [H, W, 3], RGB, of any sizes.

        Returns:
            for each image at most 100 masks at its own size, best first, with scores in [0, 1] and
            the names of their classes.
        """


class EngineModule(Protocol):
    """The functions of an engine's module."""

    def check(self, recipe: Recipe, architecture: str) -> None:
        """Makes sure, before anything is written, that it can train so.

        Args:
            recipe: the numbers.
            architecture: a name that the engine's entry admits.

        Raises:
            TrainingError: it cannot follow the recipe, or has no such backbone.
        """

    def fit(self, recipe: Recipe, architecture: str, weights: Path, labelling: Labelling) -> str:
        """Says what of a file a training would begin with.

        Args:
            recipe: the numbers.
            architecture: a name that the engine's entry admits.
            weights: the file.
            labelling: the classes to learn.

        Returns:
            how much of each part of the detector is in it, and what in it has no place.

        Raises:
            PromergeError: it cannot be read, has another backbone, or nothing that fits.
        """

    def measure(self, job: Job) -> Pace:
        """Times a few steps and predictions of a round, and keeps nothing of them.

        Args:
            job: the round; every process of the `World` calls it with the same.

        Returns:
            the pace of this machine, the same in every process.

        Raises:
            TrainingError: the engine cannot do so.
        """

    def train(self, job: Job) -> None:
        """Trains a detector to the end of its round and writes it to `job.output`.

        Args:
            job: the round; every process of the `World` calls it with the same.

        Raises:
            TrainingStoppedError: it was asked to stop.
            CheckpointError: the initial weights do not fit.
        """

    def load(self, checkpoint: Checkpoint, device: torch.device) -> Detector:
        """A detector that `train` wrote.

        Args:
            checkpoint: what it wrote.
            device: where the detector is to compute.

        Returns:
            the detector, ready to predict.

        Raises:
            CheckpointError: the engine has no such architecture, or the weights do not fit it.
        """


def find_engine(name: str) -> EngineModule:
    """The module of the engine of that name.

    Raises:
        TrainingError: there is none.
        MissingExtraError: what it is built on is not installed.
    """
    return importlib.import_module(f".{_entry(name).home}", __package__)


def choose_architecture(engine: str, architecture: str | None) -> str:
    """The architecture to train; what the engine is built on need not be installed.

    Args:
        engine: name of the engine.
        architecture: name of the architecture; None is the engine's default.

    Returns:
        the name.

    Raises:
        TrainingError: there is no such engine, or it has no such architecture.
    """
    entry = _entry(engine)
    if architecture is None:
        return next(iter(entry.architectures))
    if not entry.has(architecture):
        raise TrainingError(
            f"the engine {engine} has no architecture {architecture!r}; it has {entry.listed}"
        )
    return architecture


def _entry(name: str) -> Engine:
    if name not in ENGINES:
        raise TrainingError(f"there is no engine {name!r}; there are {', '.join(ENGINES)}")
    return ENGINES[name]
