"""The dense CRF for all masks of an image at once (Kraehenbuehl and Koltun, 2011)."""

from __future__ import annotations

import torch

from promerge_core.config import RefinementConfig

from .permutohedral import PermutohedralLattice, divide, pixel_positions, spatial_lattice

CHUNK = 8
"""Masks that are filtered together: more need memory and are no faster."""


def refine_batched(
    pixels: torch.Tensor, masks: torch.Tensor, config: RefinementConfig
) -> torch.Tensor:
    """Mean field for all masks of an image at once.

    With two labels and unaries from a softmax over (1 - m, m), the state of each pixel is one
    number, s = Q(1) - Q(0) = 2 sigmoid(u) - 1 with u = 2m - 1, and an iteration is
    s <- 2 sigmoid(u + gaussian_compat G s + bilateral_compat B s) - 1.

    Args:
        pixels: uint8 tensor [H, W, 3], RGB, on the masks' device.
        masks: bool tensor [M, H, W], M at least 1.
        config: uses the `crf_*` parameters.

    Returns:
        bool tensor [M, H, W] on the masks' device.

    Raises:
        ValueError: the kernels are too narrow for the image.
    """
    height, width = pixels.shape[:2]
    spatial = spatial_lattice(height, width, config.crf_gaussian_sxy, pixels.device)
    position = pixel_positions(height, width, config.crf_bilateral_sxy, pixels.device)
    colour = divide(pixels.reshape(-1, 3).float(), config.crf_bilateral_srgb)
    bilateral = PermutohedralLattice(torch.cat([position, colour], dim=1))

    refined = []
    for chunk in masks.flatten(1).T.split(CHUNK, dim=1):
        unary = chunk.contiguous().float().mul_(2).sub_(1)
        state = unary.sigmoid().mul_(2).sub_(1)
        for _ in range(config.crf_iterations):
            log_odds = unary.add(spatial.filter(state), alpha=config.crf_gaussian_compat)
            log_odds.add_(bilateral.filter(state), alpha=config.crf_bilateral_compat)
            state = log_odds.sigmoid_().mul_(2).sub_(1)
        refined.append(state > 0)
    return torch.cat(refined, dim=1).T.reshape(masks.shape)
