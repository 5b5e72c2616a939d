"""A round of training as Lightning drives it: batches, losses, the optimizer and AP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
from torch.utils.data import DataLoader

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    library_versions,
    load_state,
    read_checkpoint,
    save_checkpoint,
)
from fiftyone_promerge.training.data.samples import RecordImages, Sample, Steps, TrainingSamples
from fiftyone_promerge.training.engines.base import Job, World
from fiftyone_promerge.training.engines.pictures import show_validation
from fiftyone_promerge.training.engines.validations import Validations
from fiftyone_promerge.training.validation import precision_of_parts
from promerge_core import Mask

from .backbones.sync_norm import CPUSyncBatchNorm
from .detector import TorchvisionDetector
from .model import MaskRCNN
from .optimizers import averaged, make_optimizer, relative_rate
from .plan import Plan
from .weights import load_weights


class DetectorModule(pl.LightningModule):
    """The model of a round, and what Lightning does with it.

    Args:
        job: the round.
        world: the processes that train together.

    Raises:
        BackboneError: the initial weights cannot be read.
        CheckpointError: they do not fit.
    """

    def __init__(self, job: Job, world: World) -> None:
        super().__init__()
        self._job = job
        self._world = world
        self._found: dict[int, list[Mask]] = {}
        self.plan = Plan(job.schedule.iterations, job.pace)
        with torch.random.fork_rng():
            torch.manual_seed(job.recipe.seed)
            self.model = MaskRCNN(
                job.recipe, job.schedule, job.architecture, _norm(world), job.labelling
            )
        if job.detector is not None:
            load_state(self.model, read_checkpoint(job.detector).model, str(job.detector))
        elif job.weights is not None:
            load_weights(self.model, job.weights, job.labelling)
        decay = job.recipe.average
        self.average = None if decay is None else averaged(self.model, decay)

    def train_dataloader(self) -> DataLoader:
        """The samples of the steps that are still to be done."""
        return make_loader(self._job, self._world, self.trainer.global_step)

    def on_train_start(self) -> None:
        """Reads the validations before the checkpoint to continue from, and starts the clock."""
        self._validations = Validations(self._job, self.trainer.global_step)
        self.trainer.fit_loop.epoch_loop.max_steps = self.plan.iterations
        self.plan.begin(self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the plan: a run that continues has the same number of iterations."""
        checkpoint["plan"] = self.plan.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the plan of the run that is continued."""
        if "plan" in checkpoint:
            self.plan.load(checkpoint["plan"])

    def val_dataloader(self) -> DataLoader:
        """The validation images that are this process's share."""
        validation = self._job.split.validation
        # Lightning wants a share for each process, also of fewer images than there are processes;
        # what two of them find in one image counts once.
        first = self._world.rank % len(validation)
        share = validation[first :: self._world.world_size]
        images = RecordImages(self._job.records, share)
        return DataLoader(images, num_workers=self._job.num_workers, collate_fn=list)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The recipe's optimizer, its warm-up and its decay."""
        recipe, schedule = self._job.recipe, self._job.schedule
        optimizer = make_optimizer(self.model, recipe, schedule)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: relative_rate(step, self.plan.iterations, recipe, schedule)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        """See `LightningModule.optimizer_step`; the moving average follows each step."""
        super().optimizer_step(*args, **options)
        if self.average is not None:
            self.average.update_parameters(self.model)

    @property
    def kept(self) -> MaskRCNN:
        """The detector that is validated and kept: the moving average, if the recipe has one."""
        if self.average is None:
            return self.model
        return cast(MaskRCNN, self.average.module)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """See `LightningModule`: as in CutLER each parameter is clipped alone, not all together."""
        for parameter in self.model.parameters():
            torch.nn.utils.clip_grad_norm_(parameter, self._job.recipe.gradient_norm)

    def training_step(self, batch: list[Sample], batch_idx: int) -> torch.Tensor:
        """See `LightningModule.training_step`; the loss is the sum of all losses."""
        self.model.choose_by([sample.number for sample in batch])
        targets = [
            {
                "boxes": sample.boxes,
                "masks": sample.masks.byte(),
                "labels": sample.classes,
                "has_mask": sample.has_mask,
            }
            for sample in batch
        ]
        losses = self.model([sample.image / 255 for sample in batch], targets)
        loss = torch.stack(list(losses.values())).sum()
        self.log("loss", loss, sync_dist=True)
        self.log_dict(losses, sync_dist=True)
        return loss

    def validation_step(self, batch: list[tuple[int, np.ndarray | None]], batch_idx: int) -> None:
        """See `LightningModule.validation_step`; keeps what is found in images that can be read."""
        detector = TorchvisionDetector(self.kept, self.device)
        with torch.autocast(self.device.type, enabled=False):  # as whoever uses it predicts
            for position, pixels in batch:
                if pixels is not None:
                    self._found[position] = detector.predict([pixels])[0]

    def on_validation_epoch_end(self) -> None:
        """Gathers what all processes found, measures AP, and keeps the best detector."""
        parts: list[Any] = [self._found]
        if dist.is_available() and dist.is_initialized():
            parts *= self._world.world_size
            dist.all_gather_object(parts, self._found)
        self._found = {}
        metrics = precision_of_parts(self._job.records, parts, self._job.labelling)
        self.log_dict(metrics, sync_dist=True)
        is_best = self._validations.add(self.trainer.global_step, metrics["AP"])
        if self.trainer.is_global_zero:
            self._validations.write()
            show_validation(self._job, parts, self.trainer.global_step, metrics)
            if is_best:
                save_checkpoint(self._job.best, self.checkpoint(metrics))
        if self._validations.is_enough:
            self.trainer.should_stop = True

    def checkpoint(self, metrics: Mapping[str, float] | None = None) -> Checkpoint:
        """The detector as it is now; `metrics` are newer than the trainer's."""
        job = self._job
        return Checkpoint(
            engine="torchvision",
            architecture=job.architecture,
            recipe=job.recipe.to_dict(),
            round=job.round,
            source=job.source,
            versions=library_versions("torchvision", "lightning"),
            metrics={**latest_metrics(self.trainer), **(metrics or {})},
            model=self.kept.state_dict(),
            labelling=job.labelling,
        )


def _norm(world: World) -> Callable[[int], nn.Module]:
    """The normalisation to train with; for GPUs Lightning makes torch's synchronised one of it."""
    on_cpus = world.world_size > 1 and not torch.cuda.is_available()
    return CPUSyncBatchNorm if on_cpus else nn.BatchNorm2d


def make_loader(job: Job, world: World, first: int = 0) -> DataLoader:
    """The samples of a process, step by step, as lists.

    Args:
        job: the round.
        world: the processes that train together.
        first: the step to begin with, from 0.

    Returns:
        lists of `Sample`, this process's share of each step.
    """
    recipe, schedule = job.recipe, job.schedule
    return DataLoader(
        TrainingSamples(job.records, job.split.train, recipe, schedule, labelling=job.labelling),
        batch_sampler=Steps(
            schedule.iterations, recipe.batch_size, world.rank, world.world_size, first=first
        ),
        num_workers=job.num_workers,
        collate_fn=list,
        pin_memory=torch.cuda.is_available(),
    )


def latest_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """The losses and the AP that were measured last, by name."""
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
