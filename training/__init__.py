"""ProMerge+ and CutLER: class-agnostic detectors trained on masks that no human drew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promerge_core.lazy import lazy_names

if TYPE_CHECKING:
    from .checkpoint import read_checkpoint
    from .engine import ENGINES, Detector, TrainingError, TrainingStoppedError, World
    from .recipes import RECIPES
    from .records import Record, mask_from_rle
    from .run import Progress, label_records, load, loss_curve, train

__all__ = [
    "ENGINES",
    "RECIPES",
    "Detector",
    "Progress",
    "Record",
    "TrainingError",
    "TrainingStoppedError",
    "World",
    "label_records",
    "load",
    "loss_curve",
    "mask_from_rle",
    "read_checkpoint",
    "train",
]

_HOMES = {
    "ENGINES": "engine",
    "RECIPES": "recipes",
    "Detector": "engine",
    "Progress": "run",
    "Record": "records",
    "TrainingError": "engine",
    "TrainingStoppedError": "engine",
    "World": "engine",
    "label_records": "run",
    "load": "run",
    "loss_curve": "run",
    "mask_from_rle": "records",
    "read_checkpoint": "checkpoint",
    "train": "run",
}
__getattr__ = lazy_names(__name__, _HOMES)
