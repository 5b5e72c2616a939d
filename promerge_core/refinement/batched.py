"""The dense CRF for all masks of an image at once (Kraehenbuehl and Koltun, 2011)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from promerge_core.config import RefinementConfig

from .permutohedral import PermutohedralLattice, divide, pixel_positions, spatial_lattice

CHUNK = 8
"""Masks that are filtered together: more need memory and are no faster."""


def refine_batched(
    pixels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], config: RefinementConfig
) -> torch.Tensor:
    """Mean field for all masks of some images at once.

    With two labels and unaries from a softmax over (1 - m, m), the state of each pixel is one
    number, s = Q(1) - Q(0) = 2 sigmoid(u) - 1 with u = 2m - 1, and an iteration is
    s <- 2 sigmoid(u + gaussian_compat G s + bilateral_compat B s) - 1.

    Args:
        pixels: uint8 tensor [H, W, 3] for each image, RGB, on the masks' device.
        masks: bool tensor [M, H, W] for each image, M at least 1.
        config: uses the `crf_*` parameters.

    Returns:
        bool tensor [sum of M, H, W] on the masks' device, image by image.

    Raises:
        ValueError: the kernels are too narrow for the image.
    """
    states = _mean_field(torch.stack([*pixels]), pad_sequence([*masks], batch_first=True), config)
    return torch.cat([state[: len(own)] for state, own in zip(states, masks, strict=True)])


def _mean_field(
    pixels: torch.Tensor, masks: torch.Tensor, config: RefinementConfig
) -> torch.Tensor:
    """Refines the masks [B, M, H, W] of images [B, H, W, 3] that share one lattice."""
    images, height, width = pixels.shape[:3]
    spatial = spatial_lattice(height, width, config.crf_gaussian_sxy, pixels.device)
    position = pixel_positions(height, width, config.crf_bilateral_sxy, pixels.device)
    colour = divide(pixels.reshape(-1, 3).float(), config.crf_bilateral_srgb)
    bilateral = PermutohedralLattice(torch.cat([position.repeat(images, 1), colour], 1), images)

    def smooth(state: torch.Tensor) -> torch.Tensor:
        """All images lie on the same pixels: for these they are further channels."""
        channels = state.unflatten(0, (images, -1)).transpose(0, 1)
        smoothed = spatial.filter(channels.flatten(1)).view_as(channels)
        return smoothed.transpose(0, 1).flatten(0, 1)

    refined = []
    for chunk in masks.flatten(2).mT.flatten(0, 1).split(CHUNK, dim=1):
        unary = chunk.contiguous().float().mul_(2).sub_(1)
        state = unary.sigmoid().mul_(2).sub_(1)
        for _ in range(config.crf_iterations):
            log_odds = unary.add(smooth(state), alpha=config.crf_gaussian_compat)
            log_odds.add_(bilateral.filter(state), alpha=config.crf_bilateral_compat)
            state = log_odds.sigmoid_().mul_(2).sub_(1)
        refined.append(state > 0)
    return torch.cat(refined, dim=1).unflatten(0, (images, -1)).mT.reshape(masks.shape)
