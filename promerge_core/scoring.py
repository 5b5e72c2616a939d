"""Scores of masks: a number in (0, 1] from what the stages know."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .stages import Stages


def constant_score(stages: Stages, refine_iou: torch.Tensor) -> torch.Tensor:
    """1.0 for every mask, as in the paper."""
    return torch.ones_like(refine_iou)


def stability_score(stages: Stages, refine_iou: torch.Tensor) -> torch.Tensor:
    """High for masks that the CRF leaves as they are: their borders lie on borders of the image.

    Args:
        stages: not used; votes, areas and similarities rank no better (see docs/scores.md).
        refine_iou: float64 tensor [M], IoU of each mask before and after the refinement.

    Returns:
        float64 tensor [M] in (0, 1]: refine_iou, at least 1e-6.
    """
    return refine_iou.clamp(min=1e-6)


SCORES: dict[str, Callable[[Stages, torch.Tensor], torch.Tensor]] = {
    "stability": stability_score,
    "constant": constant_score,
}
