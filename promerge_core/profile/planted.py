"""Planted instances: features like DINO's without DINO's weights, to measure speed on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from promerge_core.backbones.base import Backbone

INSTANCES = (2, 1, 4, 2, 3, 1, 10, 2)
"""Masks per image, as DINO's features of photos give: two in the median, thirteen at most."""


def planted_features(
    dim: int, instances: int, noise: float = 1.0, seed: int = 0, side: int = 60
) -> torch.Tensor:
    """Features like DINO's on a picture with known instances.

    Every instance is an ellipse whose patches share a random direction; the background blends two
    smooth ones; all get Gaussian noise.

    Args:
        dim: number of channels.
        instances: number of ellipses.
        noise: length of the noise against features of length one.
        seed: of the random generator.
        side: rows and columns of the patch grid.

    Returns:
        float32 tensor [dim, side, side].
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] * (60 / side)
    directions = random.standard_normal((instances + 2, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    blend = (columns / 59)[..., None]
    features = directions[0] * (1.2 - 0.4 * blend) + directions[1] * (0.4 * blend)
    for direction in directions[2:]:
        x, y = random.uniform(8, 52, 2)
        width, height = random.uniform(3, 9, 2)
        inside = ((columns - x) / width) ** 2 + ((rows - y) / height) ** 2 < 1
        features[inside] = direction
    features += noise * random.standard_normal(features.shape) / np.sqrt(dim)
    return torch.from_numpy(features.astype(np.float32)).permute(2, 0, 1)


class PlantedBackbone(Backbone):
    """Gives planted features in turn, at the cost of a backbone or at none.

    Args:
        features: float32 [N, C, h, w], given in turn, one per image.
        patch_size: side of a patch in pixels.
        network: run on every batch for what it costs, where it is given.

    Attributes:
        features: those given.
    """

    def __init__(
        self, features: torch.Tensor, patch_size: int = 8, network: Backbone | None = None
    ) -> None:
        super().__init__()
        self.name = "planted" if network is None else network.name
        self.patch_size = patch_size
        self.dim = features.shape[1]
        # Before it holds the network, which stays where it computes.
        self.to(features.device)
        self.network = network
        self.features = features
        self._turns = itertools.cycle(features)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `Backbone.forward`."""
        if self.network is not None:
            self.network(images.to(self.network.device))
        return torch.stack([next(self._turns) for _ in images])


def plant(network: Backbone, side: int, instances: Sequence[int] = INSTANCES) -> PlantedBackbone:
    """A backbone that costs what `network` costs and finds planted instances.

    Args:
        network: run on every batch.
        side: rows and columns of the patch grid.
        instances: number of instances of each image, in turn.

    Returns:
        the backbone; its features are where those of `network` are.
    """
    features = torch.stack(
        [planted_features(network.dim, n, seed=seed, side=side) for seed, n in enumerate(instances)]
    )
    return PlantedBackbone(features.to(network.features_device), network.patch_size, network)
