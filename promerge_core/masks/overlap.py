"""How much masks overlap."""

from __future__ import annotations

import torch


def mask_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """IoU of masks, pair by pair.

    Args:
        first: bool tensor [M, ...].
        second: bool tensor of the same shape.

    Returns:
        float64 tensor [M] in [0, 1]; 0 for two empty masks.
    """
    intersection = (first & second).flatten(1).sum(1).double()
    union = (first | second).flatten(1).sum(1).double()
    return intersection / union.clamp(min=1)
