"""The least time that a backbone's arithmetic takes on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from promerge_core.backbones.base import Backbone

from .stopwatch import Stopwatch

_MATRIX = 2048
_IN_CACHE = 2**17
"""Numbers whose exponentials are timed: few enough to stay in a core's cache."""


class Floor(NamedTuple):
    """What a backbone computes for one image, and how fast this machine does such work at best.

    Attributes:
        flop: multiplications and additions of its matrix products.
        flop_per_s: their rate in the product of two large matrices.
        exponentials: of its softmaxes.
        exponentials_per_s: their rate on numbers in a cache.
    """

    flop: float
    flop_per_s: float
    exponentials: float
    exponentials_per_s: float

    @property
    def seconds(self) -> float:
        """Seconds per image if nothing else took any."""
        return self.flop / self.flop_per_s + self.exponentials / self.exponentials_per_s


def measure_floor(
    network: Backbone, images: torch.Tensor, dtype: torch.dtype, watch: Stopwatch
) -> Floor:
    """Counts a backbone's work on images, and times such work alone.

    Args:
        network: the backbone.
        images: normalised, [B, 3, S, S].
        dtype: in which the backbone computes.
        watch: times.

    Returns:
        the bound, per image.
    """
    with FlopCounterMode(display=False) as products, _CountExponentials() as exponentials:
        network(images)
    matrix = torch.randn(_MATRIX, _MATRIX, device=watch.device).to(dtype)
    numbers = torch.randn(_IN_CACHE, device=watch.device).to(dtype)
    return Floor(
        flop=products.get_total_flops() / len(images),
        flop_per_s=2 * _MATRIX**3 / _best(watch, lambda: matrix @ matrix),
        exponentials=exponentials.count / len(images),
        exponentials_per_s=len(numbers) / _best(watch, numbers.exp),
    )


def _best(watch: Stopwatch, work: Callable[[], object]) -> float:
    return min(watch.seconds(work) for _ in range(watch.repeats + 2))


class _CountExponentials(TorchFunctionMode):
    """Counts the numbers that go through a softmax, in attention or alone."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called in place of every function of PyTorch."""
        if func is F.scaled_dot_product_attention:
            query, key = args[:2]
            self.count += query.shape[:-1].numel() * key.shape[-2]
        elif func in (torch.softmax, torch.Tensor.softmax):
            self.count += args[0].numel()
        return func(*args, **(kwargs or {}))
