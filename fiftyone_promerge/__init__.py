"""Unsupervised instance segmentation in FiftyOne: ProMerge and its baselines."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmarks import load_benchmark
    from .evaluation import evaluate
    from .generation import generate_masks
    from .model import ProMergeModel, load_model

__all__ = ["ProMergeModel", "evaluate", "generate_masks", "load_benchmark", "load_model"]

_HOMES = {
    "ProMergeModel": "model",
    "evaluate": "evaluation",
    "generate_masks": "generation",
    "load_benchmark": "benchmarks",
    "load_model": "model",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: FiftyOne starts its database on import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
