"""The background vote (ProMerge, section 3.2)."""

from __future__ import annotations

import torch


def vote_background(masks: torch.Tensor, is_candidate: torch.Tensor) -> torch.Tensor:
    """Patches that lie in more than half of an image's background candidates.

    Args:
        masks: bool tensor [..., N, h, w].
        is_candidate: bool tensor [..., N], which of them vote.

    Returns:
        bool tensor [..., h, w]; empty where there are no candidates.
    """
    votes = (masks & is_candidate[..., None, None]).sum(-3)
    return 2 * votes > is_candidate.sum(-1)[..., None, None]
