"""Which proposals of an image the losses are taken of."""

from __future__ import annotations

import numpy as np
import torch


class SeededSampler:
    """Samples positive and negative proposals, always the same ones for the same sample.

    It stands for torchvision's `BalancedPositiveNegativeSampler`, which takes them from the global
    random numbers: there a resumed run, or one on more devices, would sample others.

    Args:
        size: proposals to sample per image.
        positive_fraction: at most this share of them is positive, in [0, 1].
        seed: the recipe's.

    Attributes:
        numbers: the number of each sample of the batch.
        count: proposals that were last sampled, of all images together.
    """

    def __init__(self, size: int, positive_fraction: float, seed: int) -> None:
        self._size = size
        self._max_positive = int(size * positive_fraction)
        self._seed = seed
        self.numbers: list[int] = []
        self.count = 0

    def __call__(self, labels: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Samples from the labels of each image.

        Args:
            labels: for each image a tensor [N]: >= 1 is positive, 0 negative, -1 neither.

        Returns:
            for each image which elements are sampled as positive, and which as negative, uint8 [N].
        """
        self.count = 0
        chosen: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for number, image in zip(self.numbers, labels, strict=True):
            seed = int(np.random.SeedSequence((self._seed, 2, number)).generate_state(1)[0])
            generator = torch.Generator(image.device).manual_seed(seed)
            positive = _choose(image >= 1, self._max_positive, generator)
            taken = int(positive.sum())
            negative = _choose(image == 0, self._size - taken, generator)
            self.count += taken + int(negative.sum())
            chosen[0].append(positive)
            chosen[1].append(negative)
        return chosen


def _choose(candidates: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """At most so many of the candidates, as a uint8 mask of their shape."""
    places = candidates.nonzero()[:, 0]
    order = torch.randperm(len(places), generator=generator, device=places.device)
    chosen = torch.zeros_like(candidates, dtype=torch.uint8)
    chosen[places[order[:count]]] = 1
    return chosen
