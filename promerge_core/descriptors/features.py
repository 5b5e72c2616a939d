"""A mask's vector as the mean of a network's features over it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from promerge_core.backbones.base import Backbone


def describe_by_features(
    backbone: Backbone,
    pixels: Sequence[np.ndarray],
    masks: Sequence[Sequence[np.ndarray]],
    features: torch.Tensor | None = None,
) -> list[np.ndarray]:
    """Means of the features over masks; see `promerge_core.descriptors.describe.describe_batch`.

    Args:
        backbone: gives features [B, C, h, w].
        pixels: uint8 arrays [S, S, 3].
        masks: for each image its masks, bool arrays [H, W], none empty.
        features: the images' features, where they are there already.

    Returns:
        for each image float32 [N, C].
    """
    if features is None:
        features = backbone(backbone.normalise(np.stack(pixels)))
    grids = features.float().cpu().numpy()
    return [
        np.stack([_mean(grid, mask) for mask in own])
        if len(own)
        else np.zeros((0, grid.shape[0]), np.float32)
        for grid, own in zip(grids, masks, strict=True)
    ]


def _mean(grid: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean of features [C, h, w] over the part of each patch that the mask covers."""
    height, width = grid.shape[1:]
    weights = cover(mask, width, height)
    return np.einsum("chw,hw->c", grid, weights / weights.sum()).astype(np.float32)


def cover(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """The part of each cell of a grid that a mask covers.

    Args:
        mask: bool array [H, W] of at least one pixel.
        width: columns of the grid.
        height: rows of the grid.

    Returns:
        float32 array [height, width] in [0, 1], never zero everywhere: a mask that covers none
        of a cell, as in an image that is smaller than the grid, has the cell under its centre.
    """
    weights = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    if not weights.any():
        rows, columns = np.nonzero(mask)
        row = int(rows.mean() * height / mask.shape[0])
        weights[row, int(columns.mean() * width / mask.shape[1])] = 1
    return np.asarray(weights)
