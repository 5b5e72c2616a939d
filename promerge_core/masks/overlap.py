"""How much masks overlap."""

from __future__ import annotations

import torch


def mask_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """IoU of masks pair by pair: two bool tensors [M, ...] -> float64 [M]; 0 for two empty ones."""
    intersection = (first & second).flatten(1).sum(1).double()
    union = (first | second).flatten(1).sum(1).double()
    return intersection / union.clamp(min=1)
