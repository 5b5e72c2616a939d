"""ProMerge+ and CutLER: class-agnostic detectors trained on masks that no human drew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promerge_core.lazy import lazy_names

if TYPE_CHECKING:
    from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
    from fiftyone_promerge.training.data.records import Record, mask_from_rle
    from fiftyone_promerge.training.engines.base import (
        ENGINES,
        Detector,
        TrainingError,
        TrainingStoppedError,
        World,
    )
    from fiftyone_promerge.training.run.train import (
        Progress,
        label_records,
        load,
        loss_curve,
        train,
    )

    from .recipes import RECIPES

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
    "ENGINES": "engines.base",
    "RECIPES": "recipes",
    "Detector": "engines.base",
    "Progress": "run.train",
    "Record": "data.records",
    "TrainingError": "engines.base",
    "TrainingStoppedError": "engines.base",
    "World": "engines.base",
    "label_records": "run.train",
    "load": "run.train",
    "loss_curve": "run.train",
    "mask_from_rle": "data.records",
    "read_checkpoint": "checkpoints.checkpoint",
    "train": "run.train",
}
__getattr__ = lazy_names(__name__, _HOMES)
