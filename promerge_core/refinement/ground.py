"""Masks on a plain ground, refined to the pixels that are no ground."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from promerge_core.config import RefinementConfig
from promerge_core.masks.components import connected_components
from promerge_core.stages.ground import colour_grid, fit_ground

# The ground is fitted to patches of this side and a mask may grow by it: what the patch grid of
# ViTs and of the embedded backbone can be wrong by.
_PATCH = 8


def refine_by_ground(
    pixels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], config: RefinementConfig
) -> torch.Tensor:
    """What of each mask, grown by a patch, is no plain ground; pieces not joined to it are left.

    Args:
        pixels: uint8 tensor [H, W, 3] for each image, RGB, on the masks' device.
        masks: bool tensor [M, H, W] for each image.
        config: not used.

    Returns:
        bool tensor [sum of M, H, W] on the masks' device, image by image.
    """
    return torch.cat([_refine_image(*one) for one in zip(pixels, masks, strict=True)])


def _refine_image(pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    height, width = pixels.shape[:2]
    ground = fit_ground(colour_grid(pixels, height // _PATCH, width // _PATCH))
    smooth = F.avg_pool2d(pixels.permute(2, 0, 1)[None].float(), 3, 1, 1, count_include_pad=False)
    smooth = smooth[0].permute(1, 2, 0)
    objects = torch.from_numpy(~ground.holds(colour_grid(smooth, height, width))).to(masks.device)
    grown = _widest(_widest(objects.float()[None, None].neg(), 3).neg(), 3) > 0
    return torch.stack(
        [
            _joined(_widest(one, 2 * _PATCH + 1) > 0, grown[0], one > 0)
            for one in masks[:, None, None].float()
        ]
    )


def _widest(values: torch.Tensor, side: int) -> torch.Tensor:
    """The largest value of each square of an odd side."""
    rows = F.max_pool2d(values, (side, 1), 1, (side // 2, 0))
    return F.max_pool2d(rows, (1, side), 1, (0, side // 2))


def _joined(near: torch.Tensor, objects: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    labels, areas = connected_components(near[0] & objects)
    touched = torch.zeros(len(areas) + 1, dtype=torch.bool, device=own.device)
    touched[labels[own[0]].long()] = True
    touched[-1] = False
    return touched[labels[0].long()]
