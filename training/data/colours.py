"""Random brightness, contrast and saturation of training images."""

from __future__ import annotations

import numpy as np
import torch


def jitter(image: torch.Tensor, amount: float, rng: np.random.Generator) -> torch.Tensor:
    """Changes brightness, contrast and saturation a little, in this order.

    Args:
        image: uint8 tensor [3, H, W], RGB.
        amount: each factor is within 1 - `amount` and 1 + `amount`; `amount` is in [0, 1].
        rng: chooses the factors.

    Returns:
        the changed image, uint8 tensor [3, H, W].
    """
    brightness, contrast, saturation = rng.uniform(1 - amount, 1 + amount, 3).tolist()
    pixels = image.float() * brightness
    mean = pixels.mean()
    pixels = mean + (pixels - mean) * contrast
    grey = pixels.mean(0, keepdim=True)
    pixels = grey + (pixels - grey) * saturation
    return pixels.round_().clamp_(0, 255).byte()
