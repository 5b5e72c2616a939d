"""Loads a trained detector, whoever trained it."""

from __future__ import annotations

from pathlib import Path

import torch

from fiftyone_promerge.training.checkpoints.checkpoint import OtherLayoutError, read_checkpoint
from fiftyone_promerge.training.engines.base import Detector, find_engine
from fiftyone_promerge.training.engines.detectron2.weights import import_checkpoint


def load(path: str | Path, device: torch.device) -> Detector:
    """Loads a detector that `train` wrote, or one of CutLER's code.

    Args:
        path: a `detector.pt`, or a `.pth` or `.pkl` that detectron2 wrote; nothing in it is
            executed.
        device: where it is to compute.

    Returns:
        the detector, ready to predict.

    Raises:
        CheckpointError: it cannot be read without executing it, or does not fit its architecture.
        MissingExtraError: the library of its engine is not installed.
    """
    try:
        checkpoint = read_checkpoint(path)
    except OtherLayoutError:
        checkpoint = import_checkpoint(path)
    return find_engine(checkpoint.engine).load(checkpoint, device)
