"""The engine `detectron2`: its models, trainer and hooks on our records and checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    library_versions,
    load_state,
    read_checkpoint,
    save_checkpoint,
)
from fiftyone_promerge.training.data.labelling import NO_CLASS, Labelling
from fiftyone_promerge.training.data.samples import RecordImages, Sample, Steps, TrainingSamples
from fiftyone_promerge.training.engines.base import Detector, Job, TrainingError, World
from fiftyone_promerge.training.engines.pictures import show_validation
from fiftyone_promerge.training.engines.validations import Validations
from fiftyone_promerge.training.recipes import Recipe
from fiftyone_promerge.training.recipes.budget import Pace
from fiftyone_promerge.training.registry import ENGINES
from fiftyone_promerge.training.validation import precision_of_parts
from promerge_core import MissingExtraError

try:
    import detectron2.engine as d2
except ImportError as error:
    raise MissingExtraError(
        f"the engine 'detectron2' cannot be imported ({error}): {ENGINES['detectron2'].install}"
    ) from error

from detectron2.config import instantiate
from detectron2.modeling import GeneralizedRCNN
from detectron2.solver import LRMultiplier
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage

from .architectures import unsupported
from .detector import Detectron2Detector
from .hooks import (
    Checkpointer,
    EndRound,
    FollowJob,
    SeedSteps,
    StopTraining,
    latest_metrics,
    log_to,
)
from .models import model_config
from .processes import join
from .solver import learning_rates, make_optimizer
from .weights import load_weights

# Iterations; detectron2's defaults.
_WRITE_EVERY = 20
_PRECISE_BN_STEPS = 200


def check(recipe: Recipe, architecture: str) -> None:
    """Makes sure that it can train so; see `EngineModule.check`.

    Args:
        recipe: the numbers.
        architecture: a name that the engine's entry admits.

    Raises:
        TrainingError: it cannot follow the recipe.
    """
    others = unsupported(recipe)
    if others:
        raise TrainingError(
            f"the engine detectron2 cannot follow the recipe {recipe.name}, which has "
            f"{', '.join(others)}; use the engine torchvision"
        )


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
        config = model_config(architecture, recipe, recipe.rounds[0], labelling=labelling)
        model = instantiate(config)
    return load_weights(model, weights, labelling)


def measure(job: Job) -> Pace:
    """Cannot be done; see `EngineModule.measure`.

    Args:
        job: the round.

    Raises:
        TrainingError: always.
    """
    raise TrainingError(
        "the engine detectron2 cannot time itself; give iterations instead of minutes"
    )


def train(job: Job) -> None:
    """Trains a detector to the end of its round; see `EngineModule.train`.

    What detectron2 logs goes to `log.txt` in the job's folder, its metrics to `metrics.json` and
    to TensorBoard's files there.
    """
    world = World.current()
    device = join(world)
    job.folder.mkdir(parents=True, exist_ok=True)
    with log_to(job.folder / "log.txt", world.rank):
        model = _initial_model(job, world).to(device)
        trainer = _trainer(job, world, model)
        checkpointer = Checkpointer(model, str(job.folder), trainer=trainer)
        trainer.register_hooks(_hooks(job, world, trainer, checkpointer))
        first = 0
        if checkpointer.has_checkpoint():
            checkpointer.resume_or_load("")
            first = trainer.iter + 1
        trainer.data_loader = _loader(job, world, job.schedule.iterations, first)
        try:
            trainer.train(first, job.schedule.iterations)
        except StopTraining:
            raise job.stopped(trainer.iter + 1) from None
        except EndRound:
            pass
    if world.rank == 0:
        save_checkpoint(job.output, _checkpoint(job, model, dict(latest_metrics(trainer))))
        checkpointer.discard()


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
    schedule = recipe.rounds[checkpoint.round]
    labelling = checkpoint.labelling
    config = model_config(checkpoint.architecture, recipe, schedule, labelling=labelling)
    model = instantiate(config)
    load_state(model, checkpoint.model, "the checkpoint")
    return Detectron2Detector(model.to(device).eval(), recipe, labelling, device)


def _initial_model(job: Job, world: World) -> GeneralizedRCNN:
    norm = "BN"
    if world.world_size > 1:
        norm = "SyncBN" if torch.cuda.is_available() else "naiveSyncBN"
    with torch.random.fork_rng():
        torch.manual_seed(job.recipe.seed)
        config = model_config(job.architecture, job.recipe, job.schedule, norm, job.labelling)
        model = instantiate(config)
    if job.detector is not None:
        load_state(model, read_checkpoint(job.detector).model, str(job.detector))
    elif job.weights is not None:
        load_weights(model, job.weights, job.labelling)
    return model


def _trainer(job: Job, world: World, model: GeneralizedRCNN) -> d2.SimpleTrainer:
    """detectron2's trainer, with mixed precision on CUDA; its loader is not set yet."""
    on_cuda = torch.cuda.is_available()
    parallel = d2.create_ddp_model(
        model, broadcast_buffers=False, device_ids=[world.local_rank] if on_cuda else None
    )
    trainer = d2.AMPTrainer if on_cuda else d2.SimpleTrainer
    return trainer(parallel, None, make_optimizer(job, model))


def _hooks(
    job: Job, world: World, trainer: d2.SimpleTrainer, checkpointer: Checkpointer
) -> list[d2.HookBase | None]:
    """detectron2's hooks in its own order, between the seed of a step and its report."""
    recipe, iterations = job.recipe, job.schedule.iterations
    rates = LRMultiplier(trainer.optimizer, learning_rates(recipe, job.schedule), iterations)
    precise_steps = min(_PRECISE_BN_STEPS, math.ceil(iterations / 10))
    writers = d2.default_writers(str(job.folder), iterations) if world.rank == 0 else []
    hooks = d2.hooks
    follow = FollowJob(job, world, checkpointer)
    return [
        SeedSteps(recipe.seed, world.rank),
        hooks.IterationTimer(),
        hooks.LRScheduler(scheduler=rates),
        # As CutLER has it: pasted instances are no part of the statistics.
        hooks.PreciseBN(
            0, trainer.model, _loader(job, world, precise_steps, pastes=False), precise_steps
        ),
        hooks.PeriodicCheckpointer(checkpointer, math.ceil(iterations / recipe.checkpoints)),
        hooks.EvalHook(
            iterations // recipe.validations,
            lambda: _validate(job, world, checkpointer.model, follow.validations),
        ),
        hooks.PeriodicWriter(writers, _WRITE_EVERY),
        follow,
    ]


def _loader(
    job: Job, world: World, iterations: int, first: int = 0, pastes: bool = True
) -> DataLoader:
    return DataLoader(
        TrainingSamples(
            job.records, job.split.train, job.recipe, job.schedule, pastes, job.labelling
        ),
        batch_sampler=Steps(iterations, job.recipe.batch_size, world.rank, world.world_size, first),
        num_workers=job.num_workers,
        collate_fn=_to_inputs,
        # By default it draws from the global random numbers, which a resumed run would feel.
        generator=torch.Generator(),
    )


def _to_inputs(samples: list[Sample]) -> list[dict[str, Any]]:
    """Samples in the format of detectron2's models."""
    return [
        {
            "image": sample.image,
            "instances": Instances(
                tuple(sample.image.shape[1:]),
                gt_boxes=Boxes(sample.boxes),
                # From 0, with the background behind all; what has no class stays below 0.
                gt_classes=torch.where(sample.classes > 0, sample.classes - 1, NO_CLASS),
                gt_has_mask=sample.has_mask,
                gt_masks=BitMasks(sample.masks),
            ),
        }
        for sample in samples
    ]


def _validate(
    job: Job, world: World, model: GeneralizedRCNN, validations: Validations
) -> dict[str, float]:
    """AP on the validation images, which the processes share; in rank 0, which keeps the best."""
    detector = Detectron2Detector(model.eval(), job.recipe, job.labelling, model.device)
    share = RecordImages(job.records, job.split.validation[world.rank :: world.world_size])
    found = {
        position: detector.predict([pixels])[0]
        for position, pixels in (share[index] for index in range(len(share)))
        if pixels is not None
    }
    model.train()
    parts = comm.gather(found)
    if world.rank != 0:
        return {}
    metrics = precision_of_parts(job.records, parts, job.labelling)
    # After its last step detectron2 counts one more.
    done = min(get_event_storage().iter + 1, job.schedule.iterations)
    if validations.add(done, metrics["AP"]):
        save_checkpoint(job.best, _checkpoint(job, model, metrics))
    validations.write()
    show_validation(job, parts, done, metrics)
    return metrics


def _checkpoint(job: Job, model: GeneralizedRCNN, metrics: dict[str, float]) -> Checkpoint:
    return Checkpoint(
        engine="detectron2",
        architecture=job.architecture,
        recipe=job.recipe.to_dict(),
        round=job.round,
        source=job.source,
        versions=library_versions("detectron2"),
        metrics=metrics,
        model=model.state_dict(),
        labelling=job.labelling,
    )
