"""Predicts with a trained model of torchvision's parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fiftyone_promerge.training.engines.base import Detector
from promerge_core import Mask

from .model import MaskRCNN


class TorchvisionDetector(Detector):
    """A trained Mask R-CNN.

    Args:
        model: the model, in evaluation mode, on its device.
        device: the device.
    """

    def __init__(self, model: MaskRCNN, device: torch.device) -> None:
        self._model = model
        self.device = device

    @torch.inference_mode()
    def predict(self, images: Sequence[np.ndarray]) -> list[list[Mask]]:
        """See `Detector.predict`."""
        batch = [torch.tensor(image, device=self.device).movedim(2, 0) / 255 for image in images]
        return [found["masks"] for found in self._model(batch)]
