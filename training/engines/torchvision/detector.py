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

    Attributes:
        model: the model.
    """

    def __init__(self, model: MaskRCNN, device: torch.device) -> None:
        self.model = model
        self.device = device

    @torch.inference_mode()
    def predict(self, images: Sequence[np.ndarray]) -> list[list[Mask]]:
        """See `Detector.predict`."""
        # One at a time: images of a batch are padded to the largest, which changes what is found.
        return [self._predict(image) for image in images]

    def _predict(self, image: np.ndarray) -> list[Mask]:
        pixels = torch.tensor(image, device=self.device).movedim(2, 0) / 255
        masks: list[Mask] = self.model([pixels])[0]["masks"]
        return masks
