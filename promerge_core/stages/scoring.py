"""Scores of masks: a number in (0, 1] from what the stages know."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .pipeline import Stages


def constant_score(stages: Stages, refine_iou: torch.Tensor) -> torch.Tensor:
    """1.0 for every mask, as in the paper.

    Args:
        stages: not used.
        refine_iou: float64 tensor [M], IoU of each mask before and after the refinement.

    Returns:
        float64 tensor [M] of ones.
    """
    return torch.ones_like(refine_iou)


def stability_score(stages: Stages, refine_iou: torch.Tensor) -> torch.Tensor:
    """High for compact masks that the CRF hardly changes: their borders are already the image's.

    Args:
        stages: uses `merged`, for its compactness c.
        refine_iou: float64 tensor [M], IoU of each mask before and after the refinement.

    Returns:
        float64 tensor [M] in (0, 1]: refine_iou * c ** 0.25; docs/scores.md compares formulas.
    """
    return (refine_iou * compactness(stages.merged) ** 0.25).clamp(min=1e-6)


def compactness(masks: torch.Tensor) -> torch.Tensor:
    """Sixteen times the area over the squared perimeter, on the patch grid; 1 for a square.

    Args:
        masks: bool tensor [M, h, w].

    Returns:
        float64 tensor [M] in [0, 1]; 0 for an empty mask.
    """
    padded = F.pad(masks, (1, 1, 1, 1))
    rows = (padded[:, 1:] != padded[:, :-1]).flatten(1).sum(1)
    columns = (padded[:, :, 1:] != padded[:, :, :-1]).flatten(1).sum(1)
    area = masks.flatten(1).sum(1).double()
    return 16 * area / (rows + columns).clamp(min=1).square()
