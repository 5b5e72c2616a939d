"""What a round of training adds to detectron2's trainer: seeds, checkpoints, reports, stopping."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.engine import HookBase, TrainerBase

from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError
from fiftyone_promerge.training.engines.base import Job, World
from fiftyone_promerge.training.engines.validations import Validations


class StopTraining(BaseException):
    """Ends detectron2's loop, which would log any `Exception` as a failure."""


class EndRound(BaseException):
    """Ends detectron2's loop where AP does not rise any more."""


class Checkpointer(DetectionCheckpointer):
    """detectron2's checkpoints to resume from, of which only the last is kept."""

    def save(self, name: str, **kwargs: Any) -> None:
        """Writes a checkpoint, then deletes the one before it.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written to.
        """
        if not self.save_to_disk:
            return
        path = Path(self.save_dir, f"{name}.pth")
        try:
            super().save(name, **kwargs)
        except (OSError, RuntimeError) as error:
            path.unlink(missing_ok=True)
            raise CheckpointError(
                f"{path} cannot be written: {error}; the checkpoint before it is kept"
            ) from error
        for other in path.parent.glob("model_*.pth"):
            if other != path:
                other.unlink()

    def discard(self) -> None:
        """Deletes the last checkpoint."""
        Path(self.get_checkpoint_file()).unlink()
        Path(self.save_dir, "last_checkpoint").unlink()

    def _torch_load(self, f: str) -> dict[str, Any]:
        try:
            return torch.load(f, map_location="cpu", weights_only=True)
        except Exception as error:
            # A damaged file makes torch's reader fail in any way.
            raise CheckpointError(
                f"{f} is damaged and training cannot go on from it; delete its folder to restart"
            ) from error


class SeedSteps(HookBase):
    """Seeds the sampling of proposals by the step alone, so that a resumed run samples the same.

    Args:
        seed: of the recipe.
        rank: number of this process.
    """

    def __init__(self, seed: int, rank: int) -> None:
        self._entropy = (seed, 2, rank)

    def before_step(self) -> None:
        """See `HookBase`."""
        sequence = np.random.SeedSequence((*self._entropy, self.trainer.iter))
        torch.manual_seed(int(sequence.generate_state(1)[0]))


class FollowJob(HookBase):
    """Reports each step to the job, and stops when it is asked to.

    Args:
        job: the round.
        world: the processes that train together.
        checkpointer: writes the checkpoint to resume from.

    Attributes:
        validations: of the round, from when training begins.
    """

    validations: Validations

    def __init__(self, job: Job, world: World, checkpointer: Checkpointer) -> None:
        self._job = job
        self._world = world
        self._checkpointer = checkpointer

    def before_train(self) -> None:
        """See `HookBase`."""
        self.validations = Validations(self._job, self.trainer.start_iter)

    def after_step(self) -> None:
        """See `HookBase`."""
        step = self.trainer.iter
        if self._world.rank == 0:
            self._job.report(step + 1, self.trainer.max_iter, latest_metrics(self.trainer))
        if step + 1 == self.trainer.max_iter:
            return
        is_enough, is_asked = self._decisions()
        if is_enough:
            raise EndRound
        if is_asked:
            self._checkpointer.save(f"model_{step:07d}", iteration=step)
            raise StopTraining

    def _decisions(self) -> list[bool]:
        """Whether AP does not rise any more, and whether to stop, as rank 0 knows it."""
        decisions = torch.zeros(2, device=self._checkpointer.model.device)
        if self._world.rank == 0:
            decisions[:] = torch.tensor([self.validations.is_enough, self._job.stop()])
        if self._world.world_size > 1:
            dist.broadcast(decisions, src=0)
        return decisions.bool().tolist()


def latest_metrics(trainer: TrainerBase) -> Mapping[str, float]:
    """The losses and the AP that were measured last, by name; `loss` is the sum of the losses."""
    return {
        name.removeprefix("total_"): float(value)
        for name, (value, _) in trainer.storage.latest().items()
        if name.startswith(("total_loss", "loss", "AP"))
    }


@contextlib.contextmanager
def log_to(path: Path, rank: int) -> Iterator[None]:
    """Sends what detectron2 logs to a file, and nowhere else.

    Args:
        path: the file, which is appended to.
        rank: number of this process; only that of rank 0 logs.
    """
    handler = logging.FileHandler(path) if rank == 0 else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in ("detectron2", "fvcore")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()
