"""The number type that a round is trained in."""

from __future__ import annotations

from typing import Literal

import torch

from fiftyone_promerge.training.engines.base import TrainingError
from fiftyone_promerge.training.recipes import Recipe
from promerge_core.backbones.device import cpu_has_bfloat16

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
"""Lightning's names."""


def find_precision(asked: str, recipe: Recipe) -> Precision:
    """The number type of the layers; losses and boxes are in single precision in any case.

    Args:
        asked: a name of `promerge_core.options.DTYPES`. `auto` is float16 on a GPU, and on a CPU
            float32, or bfloat16 where the recipe allows it and the CPU computes it in hardware.
        recipe: says whether it suits bfloat16.

    Returns:
        Lightning's name.

    Raises:
        TrainingError: float16 is asked for, and there is no GPU.
    """
    if asked == "auto":
        if torch.cuda.is_available():
            return "16-mixed"
        return "bf16-mixed" if recipe.bfloat16 and cpu_has_bfloat16() else "32-true"
    if asked == "float16" and not torch.cuda.is_available():
        raise TrainingError(
            "float16 needs a GPU, and this machine has none; choose bfloat16, float32 or auto"
        )
    names: dict[str, Precision] = {
        "float32": "32-true",
        "bfloat16": "bf16-mixed",
        "float16": "16-mixed",
    }
    return names[asked]


def why_precision(asked: str, recipe: Recipe) -> list[str]:
    """Why a run on this machine has its number type, where it is not told which.

    Args:
        asked: see `find_precision`.
        recipe: likewise.

    Returns:
        at most one sentence; none for a recipe that has float32 on every CPU.
    """
    if asked != "auto" or not recipe.bfloat16:
        return []
    return {
        "16-mixed": ["float16: a GPU computes it faster"],
        "bf16-mixed": ["bfloat16: this CPU computes it in hardware"],
        "32-true": ["float32: this CPU does not compute bfloat16 in hardware"],
    }[find_precision(asked, recipe)]
