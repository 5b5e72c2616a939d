"""The embedded backbone: hand-made patch descriptors that need no weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .backbones import Backbone


class EmbeddedBackbone(Backbone):
    """Colour, texture and position of each patch of 8 x 8 pixels.

    For demos, tests and trials without weights: it knows nothing of objects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = "embedded"
        self.patch_size = 8
        self.dim = 8

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `Backbone.forward`."""
        pooled = F.avg_pool2d(images.float(), self.patch_size)
        centred = pooled - pooled.mean(dim=(2, 3), keepdim=True)
        return torch.cat([centred, centred[:, :1] * 0.1], dim=1)
