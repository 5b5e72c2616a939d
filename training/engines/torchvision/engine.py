"""The engine `torchvision`: Mask R-CNN trained by PyTorch Lightning."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Dataset

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    library_versions,
    load_state,
    read_checkpoint,
    save_checkpoint,
)
from fiftyone_promerge.training.data.records import RecordFile
from fiftyone_promerge.training.data.samples import Sample, Steps, TrainingSamples, open_record
from fiftyone_promerge.training.engines.base import Detector, Job, TrainingStoppedError, World
from fiftyone_promerge.training.recipes import Recipe
from fiftyone_promerge.training.registry import ENGINES
from fiftyone_promerge.training.validation import average_precision
from promerge_core import ImageError, Mask, MissingExtraError
from promerge_core.backbones.weights import read_state_dict

from .model import BUILDERS, MaskRCNN
from .sync_norm import CPUSyncBatchNorm

try:
    import lightning.pytorch as pl
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
except ImportError as error:
    raise MissingExtraError(
        f"training needs PyTorch Lightning: {ENGINES['torchvision'].install}"
    ) from error

logger = logging.getLogger(__name__)

_LAST = "last.ckpt"

# It advertises, and says that there is no TPU.
logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)


def train(job: Job) -> None:
    """See `EngineModule.train`."""
    world = World.current()
    module = DetectorModule(job, world)
    trainer = make_trainer(job, world)
    last = job.folder / _LAST
    with warnings.catch_warnings():
        # Our loader begins at the step that the checkpoint was written at.
        warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
        # Lightning's own use of torch, which no one who trains can change.
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        trainer.fit(module, ckpt_path=last if last.exists() else None, weights_only=True)
    if world.rank == 0:
        save_checkpoint(job.output, module.checkpoint())
        last.unlink()


def make_trainer(job: Job, world: World) -> pl.Trainer:
    """Lightning's trainer, which reports each step of a job, stops and keeps checkpoints."""
    iterations = job.schedule.iterations
    on_cuda = torch.cuda.is_available()
    return pl.Trainer(
        accelerator="cuda" if on_cuda else "cpu",
        devices=world.local_world_size,
        num_nodes=world.world_size // world.local_world_size,
        strategy="ddp" if world.world_size > 1 else "auto",
        precision="16-mixed" if on_cuda else "32-true",
        sync_batchnorm=on_cuda and world.world_size > 1,
        use_distributed_sampler=False,
        max_epochs=-1,
        max_steps=iterations,
        check_val_every_n_epoch=None,
        val_check_interval=max(iterations // job.recipe.validations, 1),
        num_sanity_val_steps=0,
        gradient_clip_val=job.recipe.gradient_norm,
        log_every_n_steps=max(min(iterations // 100, 50), 1),
        logger=[
            CSVLogger(job.folder, name="csv", flush_logs_every_n_steps=1),
            TensorBoardLogger(job.folder, name="tensorboard"),
        ],
        callbacks=[_Progress(job)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def make_loader(job: Job, world: World, first: int = 0) -> DataLoader:
    """The samples of a process, step by step from the `first` on."""
    recipe, schedule = job.recipe, job.schedule
    return DataLoader(
        TrainingSamples(job.records, job.split.train, recipe, schedule),
        batch_sampler=Steps(
            schedule.iterations, recipe.batch_size, world.rank, world.world_size, first=first
        ),
        num_workers=job.num_workers,
        collate_fn=list,
        pin_memory=torch.cuda.is_available(),
    )


def load(checkpoint: Checkpoint, device: torch.device) -> Detector:
    """See `EngineModule.load`."""
    checkpoint.check_architecture()
    recipe = Recipe.from_dict(checkpoint.recipe)
    model = BUILDERS[checkpoint.architecture](recipe, recipe.rounds[checkpoint.round])
    load_state(model, checkpoint.model, "the checkpoint")
    return TorchvisionDetector(model.to(device).eval(), device)


class TorchvisionDetector(Detector):
    """A trained Mask R-CNN.

    Args:
        model: the model, in evaluation mode, on its device.
        device: the device.
    """

    def __init__(self, model: MaskRCNN, device: torch.device) -> None:
        self._model = model
        self.device = device

    @torch.inference_mode()
    def predict(self, images: Sequence[np.ndarray]) -> list[list[Mask]]:
        """See `Detector.predict`."""
        batch = [torch.tensor(image, device=self.device) for image in images]
        return [found["masks"] for found in self._model([_scaled(i.movedim(2, 0)) for i in batch])]


def _scaled(image: torch.Tensor) -> torch.Tensor:
    return image / 255


class DetectorModule(pl.LightningModule):
    """A round of training, as Lightning drives it.

    Args:
        job: the round.
        world: the processes that train together.
    """

    def __init__(self, job: Job, world: World) -> None:
        super().__init__()
        self._job = job
        self._world = world
        self._found: dict[int, list[Mask]] = {}
        with torch.random.fork_rng():
            torch.manual_seed(job.recipe.seed)
            self.model = BUILDERS[job.architecture](job.recipe, job.schedule, _norm(world))
        if job.detector is not None:
            load_state(self.model, read_checkpoint(job.detector).model, str(job.detector))
        elif job.weights is not None:
            load_resnet(self.model, job.weights)

    def train_dataloader(self) -> DataLoader:
        """The samples of the steps that are still to be done."""
        return make_loader(self._job, self._world, self.trainer.global_step)

    def val_dataloader(self) -> DataLoader:
        """The validation images that are this process's share."""
        validation = self._job.split.validation
        # Lightning wants a share for each process, also of fewer images than there are processes;
        # what two of them find in one image counts once.
        first = self._world.rank % len(validation)
        share = validation[first :: self._world.world_size]
        images = ValidationImages(self._job.records, share)
        return DataLoader(images, num_workers=self._job.num_workers, collate_fn=list)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """SGD, without weight decay for norms, and a warm-up before the recipe's milestones."""
        recipe = self._job.recipe
        groups: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for module in self.model.modules():
            is_norm = isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
            groups[is_norm].extend(module.parameters(recurse=False))
        parameters: list[dict[str, Any]] = [
            {"params": groups[0]},
            {"params": groups[1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.SGD(
            parameters,
            lr=self._job.schedule.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _rate(self, step: int) -> float:
        """The learning rate of a step relative to the full one."""
        recipe = self._job.recipe
        done = min(step / max(recipe.warmup_iterations, 1), 1)
        warmup = recipe.warmup_factor + (1 - recipe.warmup_factor) * done
        passed = sum(milestone <= step for milestone in self._job.schedule.milestones)
        return float(warmup * recipe.gamma**passed)

    def training_step(self, batch: list[Sample], batch_idx: int) -> torch.Tensor:
        """The sum of all losses."""
        self.model.choose_by([sample.number for sample in batch])
        targets = [
            {
                "boxes": sample.boxes,
                "masks": sample.masks.byte(),
                "labels": torch.ones(len(sample.boxes), dtype=torch.int64, device=self.device),
            }
            for sample in batch
        ]
        losses = self.model([_scaled(sample.image) for sample in batch], targets)
        loss = torch.stack(list(losses.values())).sum()
        self.log("loss", loss, sync_dist=True)
        self.log_dict(losses, sync_dist=True)
        return loss

    def validation_step(self, batch: list[tuple[int, torch.Tensor | None]], batch_idx: int) -> None:
        """Keeps what is found in an image that can be read."""
        for position, image in batch:
            if image is not None:
                self._found[position] = self.model([_scaled(image)])[0]["masks"]

    def on_validation_epoch_end(self) -> None:
        """Gathers what all processes found and measures AP."""
        found = self._found
        if dist.is_available() and dist.is_initialized():
            parts: list[Any] = [None] * self._world.world_size
            dist.all_gather_object(parts, found)
            found = {position: masks for part in parts for position, masks in part.items()}
        positions = sorted(found)
        metrics = average_precision(
            [self._job.records[position] for position in positions],
            [found[position] for position in positions],
        )
        self._found = {}
        self.log_dict(metrics, sync_dist=True)

    def checkpoint(self) -> Checkpoint:
        """The detector as it is now."""
        job = self._job
        return Checkpoint(
            engine="torchvision",
            architecture=job.architecture,
            recipe=job.recipe.to_dict(),
            round=job.round,
            source=job.source,
            versions=library_versions("torchvision", "lightning"),
            metrics=_metrics(self.trainer),
            model=self.model.state_dict(),
        )


def _norm(world: World) -> Callable[[int], nn.Module]:
    """The normalisation to train with; for GPUs Lightning makes torch's synchronised one of it."""
    on_cpus = world.world_size > 1 and not torch.cuda.is_available()
    return CPUSyncBatchNorm if on_cpus else nn.BatchNorm2d


class ValidationImages(Dataset[tuple[int, torch.Tensor | None]]):
    """Images to measure AP on, at their own size.

    Args:
        records: the records.
        positions: which of them, int64 [N].
    """

    def __init__(self, records: RecordFile, positions: np.ndarray) -> None:
        self._records = records
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor | None]:
        """Position of a record, and its image as a uint8 tensor [3, H, W] where it can be read."""
        position = int(self._positions[index])
        try:
            pixels = np.array(open_record(self._records[position]))
        except ImageError as error:
            logger.warning("passed over in validation: %s", error)
            return position, None
        return position, torch.from_numpy(pixels).permute(2, 0, 1)


class _Progress(pl.Callback):
    """Reports each step, writes the checkpoint to go on from, and stops when asked to."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._every = math.ceil(job.schedule.iterations / job.recipe.checkpoints)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """See `lightning.pytorch.Callback`."""
        done, job = trainer.global_step, self._job
        if trainer.is_global_zero:
            job.report(done, _metrics(trainer))
        asked = trainer.is_global_zero and job.stop()
        stopping = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if stopping or done % self._every == 0:
            _save(trainer, job.folder / _LAST)
        if stopping:
            raise TrainingStoppedError(
                f"stopped after {done} of {job.schedule.iterations} iterations of round "
                f"{job.round}; the same call goes on from there"
            )


def _save(trainer: pl.Trainer, path: Path) -> None:
    try:
        trainer.save_checkpoint(path, weights_only=False)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror}; the checkpoint before it is kept"
        ) from error


def _metrics(trainer: pl.Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def load_resnet(model: MaskRCNN, path: Path) -> None:
    """Loads a ResNet-50 in torchvision's or DINO's naming into a detector's backbone.

    Raises:
        BackboneError: the file cannot be read.
        CheckpointError: it is no ResNet-50.
    """
    state = read_state_dict(path)
    body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    load_state(model.backbone.body, body, str(path))
