"""Iterations that end where nothing changes any more."""

from __future__ import annotations

from collections.abc import Callable

import torch

_STEPS = 8
"""Between two looks at the result on a GPU, which the host must wait for at each."""


def fixed_point(step: Callable[[torch.Tensor], torch.Tensor], state: torch.Tensor) -> torch.Tensor:
    """Repeats a step until it changes nothing.

    Args:
        step: gives the next state; one that it leaves as it is must be the end.
        state: the first state.

    Returns:
        the state that the step leaves as it is.
    """
    steps = 1 if state.device.type == "cpu" else _STEPS
    while True:
        for _ in range(steps):
            before, state = state, step(state)
        if torch.equal(state, before):
            return state
