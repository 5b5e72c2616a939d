"""The background vote (ProMerge, section 3.2)."""

from __future__ import annotations

import torch


def vote_background(candidates: torch.Tensor) -> torch.Tensor | None:
    """Patches that lie in more than half of the background candidates.

    Args:
        candidates: bool tensor [B, h, w].

    Returns:
        bool tensor [h, w], or None where there are no candidates.
    """
    if len(candidates) == 0:
        return None
    return 2 * candidates.sum(0) > len(candidates)
