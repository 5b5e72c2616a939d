"""What every backbone is: a frozen network, images -> one feature per patch."""

from __future__ import annotations

import abc

import numpy as np
import torch
from torch import nn

from promerge_core.errors import PromergeError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1] over ImageNet's training images; DINO and most ViTs of timm expect them."""


class BackboneError(PromergeError):
    """A backbone's name is unknown, or its weights are missing or do not fit."""


class Backbone(nn.Module, abc.ABC):
    """A frozen network that gives one feature for each patch of a square image.

    Attributes:
        name: the name it was loaded by.
        patch_size: side of a patch in pixels.
        dim: number of channels C of a feature.
    """

    name: str
    patch_size: int
    dim: int
    _mean: torch.Tensor
    _std: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        shape = (1, 3, 1, 1)
        self.register_buffer("_mean", torch.tensor(IMAGENET_MEAN).view(shape), persistent=False)
        self.register_buffer("_std", torch.tensor(IMAGENET_STD).view(shape), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the backbone computes."""
        return self._mean.device

    @property
    def features_device(self) -> torch.device:
        """Where its features are, for the stages: Apple's GPUs have no float64, so not on them."""
        return torch.device("cpu") if self.device.type == "mps" else self.device

    def normalise(self, images: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Scales pixels to [0, 1] and normalises them with ImageNet's mean and deviation.

        Args:
            images: uint8 [B, S, S, 3] or [B, 3, S, S], RGB.

        Returns:
            float32 tensor [B, 3, S, S] on the backbone's device.

        Raises:
            ValueError: the images are of another type or shape.
        """
        batch = torch.as_tensor(images, device=self.device)
        if (
            batch.dtype != torch.uint8
            or batch.ndim != 4
            or 3 not in (batch.shape[1], batch.shape[3])
        ):
            raise ValueError(
                f"images must be uint8 [B, S, S, 3] or [B, 3, S, S]; "
                f"got {batch.dtype} {tuple(batch.shape)}"
            )
        if batch.shape[3] == 3:
            batch = batch.permute(0, 3, 1, 2)
        return (batch.float() / 255 - self._mean) / self._std

    @abc.abstractmethod
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Keys of normalised images, on the `features_device`.

        Args:
            images: float tensor [B, 3, S, S].

        Returns:
            float32 tensor [B, C, S/patch, S/patch].
        """
