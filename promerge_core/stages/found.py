"""What a method finds on the patch grid, before it is refined."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from .no_masks import NoMasks


class Found(NamedTuple):
    """The instances of one image on the patch grid.

    Attributes:
        masks: bool tensor [M, h, w].
        facts: name -> what is known about each mask, tensor [M].
        score: IoU of each mask before and after the refinement, float64 [M] -> scores, [M].
        reason: why there are none, or None.
    """

    masks: torch.Tensor
    facts: dict[str, torch.Tensor]
    score: Callable[[torch.Tensor], torch.Tensor]
    reason: NoMasks | None
