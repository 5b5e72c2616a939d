"""The engine `detectron2`: its models, trainer and hooks on our records and checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    library_versions,
    load_state,
    read_checkpoint,
    save_checkpoint,
)
from fiftyone_promerge.training.data.samples import Sample, Steps, TrainingSamples, open_record
from fiftyone_promerge.training.engines.base import Detector, Job, TrainingStoppedError, World
from fiftyone_promerge.training.recipes import Recipe, Round
from fiftyone_promerge.training.registry import ENGINES
from fiftyone_promerge.training.validation import average_precision
from promerge_core import Mask, MissingExtraError
from promerge_core.masks.mask import masks_from_arrays

try:
    import detectron2.engine as d2
except ImportError as error:
    raise MissingExtraError(
        f"the engine 'detectron2' cannot be imported ({error}): {ENGINES['detectron2'].install}"
    ) from error

from detectron2.config import get_cfg, instantiate
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.solver import LRMultiplier, WarmupParamScheduler
from detectron2.solver.build import get_default_optimizer_params, maybe_add_gradient_clipping
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils import comm
from fvcore.common.param_scheduler import MultiStepParamScheduler, ParamScheduler

from .hooks import (
    Checkpointer,
    FollowJob,
    SeedSteps,
    StopTraining,
    latest_metrics,
    log_to,
)
from .models import model_config
from .weights import load_backbone

_WRITE_EVERY = 20
_PRECISE_BN_STEPS = 200
_MAX_PASTED_PIXELS = 2**26


def train(job: Job) -> None:
    """See `EngineModule.train`.

    What detectron2 logs goes to `log.txt` in the job's folder, its metrics to `metrics.json` and
    to TensorBoard's files there.
    """
    world = World.current()
    device = _join(world)
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
            raise TrainingStoppedError(
                f"stopped after {trainer.iter + 1} of {job.schedule.iterations} iterations of "
                f"round {job.round}; the same call goes on from there"
            ) from None
    if world.rank == 0:
        save_checkpoint(job.output, _checkpoint(job, model, dict(latest_metrics(trainer))))
        checkpointer.discard()


def load(checkpoint: Checkpoint, device: torch.device) -> Detector:
    """See `EngineModule.load`."""
    checkpoint.check_architecture()
    recipe = Recipe.from_dict(checkpoint.recipe)
    schedule = recipe.rounds[checkpoint.round]
    model = instantiate(model_config(checkpoint.architecture, recipe, schedule))
    load_state(model, checkpoint.model, "the checkpoint")
    return Detectron2Detector(model.to(device).eval(), recipe, device)


def launch(
    function: Callable[..., None],
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    args: tuple[Any, ...] = (),
) -> None:
    """Calls a function in one process a GPU, as `detectron2.engine.launch` does, not torchrun.

    Args:
        function: calls `train_detector` in each process; it must be importable.
        num_gpus_per_machine: processes on this machine.
        num_machines: machines, on each of which `launch` is called.
        machine_rank: number of this machine, from 0.
        dist_url: where the processes meet, such as `tcp://host:port`; `auto` on one machine.
        args: the function's arguments.
    """
    d2.launch(
        _call_in_world,
        num_gpus_per_machine,
        num_machines,
        machine_rank,
        dist_url,
        (function, num_gpus_per_machine, args),
    )


def _call_in_world(
    function: Callable[..., None], local_world_size: int, args: tuple[Any, ...]
) -> None:
    """Calls a function with the environment that torchrun would give its process."""
    if dist.is_initialized():
        world = World(
            dist.get_rank(), dist.get_world_size(), comm.get_local_rank(), local_world_size
        )
        os.environ["TORCHELASTIC_RUN_ID"] = "detectron2"
        os.environ.update({name.upper(): str(value) for name, value in world._asdict().items()})
    function(*args)


def _join(world: World) -> torch.device:
    """Joins the other processes; gives the device of this one."""
    on_cuda = torch.cuda.is_available()
    if world.world_size > 1:
        if not dist.is_initialized():
            dist.init_process_group("nccl" if on_cuda else "gloo", timeout=d2.DEFAULT_TIMEOUT)
        comm.create_local_process_group(world.local_world_size)
    if not on_cuda:
        return torch.device("cpu")
    torch.cuda.set_device(world.local_rank)
    return torch.device("cuda", world.local_rank)


def _initial_model(job: Job, world: World) -> GeneralizedRCNN:
    norm = "BN"
    if world.world_size > 1:
        norm = "SyncBN" if torch.cuda.is_available() else "naiveSyncBN"
    with torch.random.fork_rng():
        torch.manual_seed(job.recipe.seed)
        model = instantiate(model_config(job.architecture, job.recipe, job.schedule, norm))
    if job.detector is not None:
        load_state(model, read_checkpoint(job.detector).model, str(job.detector))
    elif job.weights is not None:
        load_backbone(model.backbone.bottom_up, job.weights)
    return model


def _trainer(job: Job, world: World, model: GeneralizedRCNN) -> d2.SimpleTrainer:
    """detectron2's trainer, with mixed precision on CUDA; its loader is not set yet."""
    on_cuda = torch.cuda.is_available()
    parallel = d2.create_ddp_model(
        model, broadcast_buffers=False, device_ids=[world.local_rank] if on_cuda else None
    )
    trainer = d2.AMPTrainer if on_cuda else d2.SimpleTrainer
    return trainer(parallel, None, _optimizer(job, model))


def _optimizer(job: Job, model: GeneralizedRCNN) -> torch.optim.Optimizer:
    """SGD without weight decay for norms; as CutLER has it, each parameter is clipped alone."""
    cfg = get_cfg()
    cfg.SOLVER.CLIP_GRADIENTS.ENABLED = True
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = "norm"
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = job.recipe.gradient_norm
    return maybe_add_gradient_clipping(cfg, torch.optim.SGD)(
        get_default_optimizer_params(model, weight_decay_norm=0.0),
        lr=job.schedule.learning_rate,
        momentum=job.recipe.momentum,
        weight_decay=job.recipe.weight_decay,
    )


def _hooks(
    job: Job, world: World, trainer: d2.SimpleTrainer, checkpointer: Checkpointer
) -> list[d2.HookBase | None]:
    """detectron2's hooks in its own order, between the seed of a step and its report."""
    recipe, iterations = job.recipe, job.schedule.iterations
    rates = LRMultiplier(trainer.optimizer, _rates(recipe, job.schedule), iterations)
    precise_steps = min(_PRECISE_BN_STEPS, math.ceil(iterations / 10))
    writers = d2.default_writers(str(job.folder), iterations) if world.rank == 0 else []
    hooks = d2.hooks
    return [
        SeedSteps(recipe.seed, world.rank),
        hooks.IterationTimer(),
        hooks.LRScheduler(scheduler=rates),
        hooks.PreciseBN(0, trainer.model, _loader(job, world, precise_steps), precise_steps),
        hooks.PeriodicCheckpointer(checkpointer, math.ceil(iterations / recipe.checkpoints)),
        hooks.EvalHook(
            iterations // recipe.validations, lambda: _validate(job, world, checkpointer.model)
        ),
        hooks.PeriodicWriter(writers, _WRITE_EVERY),
        FollowJob(job, world, checkpointer, checkpointer.model.device),
    ]


def _rates(recipe: Recipe, schedule: Round) -> ParamScheduler:
    """The learning rate relative to the full one, by the share of the round that is done."""
    steps = MultiStepParamScheduler(
        [recipe.gamma**passed for passed in range(len(schedule.milestones) + 1)],
        milestones=list(schedule.milestones),
        num_updates=schedule.iterations,
    )
    warmup = min(recipe.warmup_iterations / schedule.iterations, 1.0)
    return WarmupParamScheduler(steps, recipe.warmup_factor, warmup)


def _loader(job: Job, world: World, iterations: int, first: int = 0) -> DataLoader:
    return DataLoader(
        TrainingSamples(job.records, job.split.train, job.recipe, job.schedule),
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
                gt_classes=torch.zeros(len(sample.boxes), dtype=torch.int64),
                gt_masks=BitMasks(sample.masks),
            ),
        }
        for sample in samples
    ]


def _validate(job: Job, world: World, model: GeneralizedRCNN) -> dict[str, float]:
    """AP on the validation images, which the processes share; in rank 0 alone."""
    detector = Detectron2Detector(model.eval(), job.recipe, model.device)
    found = {
        position: detector.predict([np.array(open_record(job.records[position]))])[0]
        for position in job.split.validation[world.rank :: world.world_size].tolist()
    }
    model.train()
    parts = comm.gather(found)
    if world.rank != 0:
        return {}
    found = {position: masks for part in parts for position, masks in part.items()}
    positions = sorted(found)
    return average_precision(
        [job.records[position] for position in positions],
        [found[position] for position in positions],
    )


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
    )


class Detectron2Detector(Detector):
    """A trained detector of detectron2.

    Args:
        model: the model, in evaluation mode, on its device.
        recipe: the sizes of its input.
        device: the device.
    """

    def __init__(self, model: GeneralizedRCNN, recipe: Recipe, device: torch.device) -> None:
        self._model = model
        self._resize = ResizeShortestEdge(recipe.test_short_side, recipe.long_side)
        self.device = device

    @torch.inference_mode()
    def predict(self, images: Sequence[np.ndarray]) -> list[list[Mask]]:
        """See `Detector.predict`."""
        inputs = [{"image": self._resized(image)} for image in images]
        results = self._model.inference(inputs, do_postprocess=False)
        return [
            _masks(result, *image.shape[:2]) for result, image in zip(results, images, strict=True)
        ]

    def _resized(self, image: np.ndarray) -> torch.Tensor:
        resized = self._resize.get_transform(image).apply_image(image)
        return torch.from_numpy(resized.astype(np.float32)).permute(2, 0, 1)


def _masks(result: Instances, height: int, width: int) -> list[Mask]:
    """An image's result at its own size, by a few masks at a time to bound the memory."""
    masks: list[Mask] = []
    step = max(_MAX_PASTED_PIXELS // (height * width), 1)
    for start in range(0, len(result), step):
        part = detector_postprocess(result[start : start + step], height, width)
        facts: list[dict[str, float]] = [{}] * len(part)
        masks += masks_from_arrays(part.pred_masks.cpu().numpy(), part.scores.tolist(), facts)
    return masks
