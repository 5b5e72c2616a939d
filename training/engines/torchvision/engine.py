"""The engine `torchvision`: its models, trained by PyTorch Lightning."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import torch

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_state,
    save_checkpoint,
)
from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.engines.base import Detector, Job, TrainingError, World
from fiftyone_promerge.training.recipes import Recipe
from fiftyone_promerge.training.recipes.budget import Pace
from fiftyone_promerge.training.registry import ENGINES
from promerge_core import MissingExtraError
from promerge_core.backbones.torch_files import check_structure

try:
    import lightning.pytorch as pl
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
except ImportError as error:
    raise MissingExtraError(
        f"training needs PyTorch Lightning: {ENGINES['torchvision'].install}"
    ) from error

from .architectures import find_architecture
from .backbones.resnets import MOST_LEVELS
from .backbones.timm_nets import check_timm_net
from .detector import TorchvisionDetector
from .lightning_module import DetectorModule, latest_metrics
from .model import MaskRCNN
from .pace import TRIAL_IMAGES, Timer, trial_of
from .precision import find_precision
from .weights import load_weights

_LAST = "last.ckpt"

# It advertises, and says that there is no TPU.
logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)


def check(recipe: Recipe, architecture: str) -> None:
    """Makes sure that it can train so; see `EngineModule.check`.

    Args:
        recipe: the numbers.
        architecture: a name that the engine's entry admits.

    Raises:
        TrainingError: timm has no such ConvNet, or an FPN cannot use it, or has not so many levels.
    """
    if not 1 <= len(recipe.anchor_sizes) <= MOST_LEVELS:
        raise TrainingError(
            f"the recipe {recipe.name} has {len(recipe.anchor_sizes)} sizes of anchors; an FPN has "
            f"from 1 to {MOST_LEVELS} levels"
        )
    sizes = find_architecture(architecture)
    if sizes.by_timm:
        check_timm_net(sizes.backbone)


def fit(recipe: Recipe, architecture: str, weights: Path, labelling: Labelling) -> str:
    """Says what of a file a training would begin with; see `EngineModule.fit`.

    Args:
        recipe: the numbers.
        architecture: a name that the engine's entry admits.
        weights: the file.
        labelling: the classes to learn.

    Returns:
        how much of each part of the detector is in it, and what in it has no place.
    """
    with torch.random.fork_rng():
        model = MaskRCNN(recipe, recipe.rounds[0], architecture, labelling=labelling)
    return load_weights(model, weights, labelling)


def train(job: Job) -> None:
    """Trains a detector to the end of its round; see `EngineModule.train`.

    Args:
        job: the round; its logs go to `csv` and `tensorboard` in the job's folder.
    """
    world = World.current()
    module = DetectorModule(job, world)
    trainer = make_trainer(job, world)
    last = job.folder / _LAST
    if last.exists():
        _check_last(last, module)
    _fit(trainer, module, last if last.exists() else None)
    if world.rank == 0:
        save_checkpoint(job.output, module.checkpoint())
        last.unlink(missing_ok=True)


def _check_last(path: Path, module: DetectorModule) -> None:
    """Raises CheckpointError where Lightning could not continue from a checkpoint."""
    try:
        check_structure(path, CheckpointError)
        with zipfile.ZipFile(path) as archive:
            whole = archive.testzip() is None
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        expected = module.state_dict()
        fits = {name: one.shape for name, one in found.items()} == {
            name: one.shape for name, one in expected.items()
        }
    except Exception as error:
        # Bytes that are no checkpoint make torch's reader fail in any way.
        raise _unusable(path) from error
    if not whole or not fits:
        raise _unusable(path)


def _unusable(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged or another training's; delete it, and the same command begins the "
        f"round again"
    )


def _fit(trainer: pl.Trainer, module: DetectorModule, last: Path | None) -> None:
    with warnings.catch_warnings():
        # Our loader begins at the step that the checkpoint was written at.
        warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
        # Lightning's own use of torch, which no one who trains can change.
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        trainer.fit(module, ckpt_path=last, weights_only=True)


def measure(job: Job) -> Pace:
    """Times a few steps and predictions of a round; see `EngineModule.measure`.

    Args:
        job: the round.

    Returns:
        the pace of this machine, that of rank 0 in every process.
    """
    world, timer = World.current(), Timer()
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        trial = trial_of(job, Path(folder))
        options: dict[str, Any] = {"callbacks": [timer], "logger": False}
        trainer = make_trainer(trial, world, limit_val_batches=TRIAL_IMAGES, **options)
        _fit(trainer, DetectorModule(trial, world), None)
    pace: Pace = trainer.strategy.broadcast(timer.pace(world.world_size))
    return pace


def make_trainer(job: Job, world: World, **changes: Any) -> pl.Trainer:
    """Lightning's trainer, which reports each step of a job, stops and keeps checkpoints.

    Args:
        job: the round.
        world: the processes that train together.
        **changes: other arguments of the trainer than ours.

    Returns:
        the trainer, which has still to be given the `DetectorModule`.
    """
    iterations = job.schedule.iterations
    on_cuda = torch.cuda.is_available()
    defaults: dict[str, Any] = {
        "accelerator": "cuda" if on_cuda else "cpu",
        "devices": world.local_world_size,
        "num_nodes": world.world_size // world.local_world_size,
        "strategy": "ddp" if world.world_size > 1 else "auto",
        "precision": find_precision(job.precision, job.recipe),
        "sync_batchnorm": on_cuda and world.world_size > 1,
        "use_distributed_sampler": False,
        "max_epochs": -1,
        "max_steps": iterations,
        "check_val_every_n_epoch": None,
        "val_check_interval": math.ceil(iterations / job.recipe.validations),
        "num_sanity_val_steps": 0,
        "log_every_n_steps": max(min(iterations // 100, 50), 1),
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    if "logger" not in changes:
        changes["logger"] = [
            CSVLogger(job.folder, name="csv", flush_logs_every_n_steps=1),
            TensorBoardLogger(job.folder, name="tensorboard"),
        ]
    return pl.Trainer(**{**defaults, "callbacks": [_Progress(job)], **changes})


class _Progress(pl.Callback):
    """Reports each step, writes the checkpoint to resume from, and stops when asked to."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._validated = False
        self._every = math.ceil(job.schedule.iterations / job.recipe.checkpoints)

    def on_validation_end(self, *args: Any) -> None:
        """See `lightning.pytorch.Callback`."""
        self._validated = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        """See `lightning.pytorch.Callback`."""
        done, job = trainer.global_step, self._job
        plan = cast(DetectorModule, pl_module).plan
        before = plan.iterations
        if self._validated:
            self._validated = False
            plan.load(trainer.strategy.broadcast(plan.revised(done)))
            trainer.fit_loop.epoch_loop.max_steps = plan.iterations
        if trainer.is_global_zero:
            job.report(done, plan.iterations, latest_metrics(trainer))
        asked = trainer.is_global_zero and job.stop()
        stopping = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if stopping or done % self._every == 0 or plan.iterations != before:
            _save(trainer, job.folder / _LAST)
        if stopping:
            raise job.stopped(done)
        if done >= plan.iterations:
            trainer.should_stop = True  # after one more validation


def _save(trainer: pl.Trainer, path: Path) -> None:
    try:
        trainer.save_checkpoint(path, weights_only=False)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror}; the checkpoint before it is kept"
        ) from error


def load(checkpoint: Checkpoint, device: torch.device) -> Detector:
    """Loads a detector that `train` wrote; see `EngineModule.load`.

    Args:
        checkpoint: what it wrote.
        device: where the detector is to compute.

    Returns:
        the detector, ready to predict.
    """
    checkpoint.check_architecture()
    recipe = Recipe.from_dict(checkpoint.recipe)
    model = MaskRCNN(
        recipe,
        recipe.rounds[checkpoint.round],
        checkpoint.architecture,
        labelling=checkpoint.labelling,
    )
    load_state(model, checkpoint.model, "the checkpoint")
    return TorchvisionDetector(model.to(device).eval(), device)
