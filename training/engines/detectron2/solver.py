"""The optimizer and the learning rate of a round, as CutLER has them in detectron2."""

from __future__ import annotations

import torch
from detectron2.config import get_cfg
from detectron2.modeling import GeneralizedRCNN
from detectron2.solver import WarmupParamScheduler
from detectron2.solver.build import get_default_optimizer_params, maybe_add_gradient_clipping
from fvcore.common.param_scheduler import MultiStepParamScheduler, ParamScheduler

from fiftyone_promerge.training.engines.base import Job
from fiftyone_promerge.training.recipes import Recipe, Round


def make_optimizer(job: Job, model: GeneralizedRCNN) -> torch.optim.Optimizer:
    """SGD without weight decay for norms; as CutLER has it, each parameter is clipped alone.

    Args:
        job: the round.
        model: the detector, on its device.

    Returns:
        the optimizer, at the full learning rate.
    """
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


def learning_rates(recipe: Recipe, schedule: Round) -> ParamScheduler:
    """The learning rate relative to the full one, by the share of the round that is done.

    Args:
        recipe: the warm-up, and the factor of a milestone.
        schedule: the round.

    Returns:
        a function of the share in [0, 1], for detectron2's `LRMultiplier`.
    """
    steps = MultiStepParamScheduler(
        [recipe.gamma**passed for passed in range(len(schedule.milestones) + 1)],
        milestones=list(schedule.milestones),
        num_updates=schedule.iterations,
    )
    warmup = min(recipe.warmup_iterations / schedule.iterations, 1.0)
    return WarmupParamScheduler(steps, recipe.warmup_factor, warmup)
