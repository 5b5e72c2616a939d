"""Prompts -> affinities -> proposals and background candidates (ProMerge, section 3.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .config import ProMergeConfig
from .masks import connected_components


def unit_features(features: torch.Tensor) -> torch.Tensor:
    """Patch features scaled to length one.

    Args:
        features: float tensor [C, h, w].

    Returns:
        float32 tensor [h * w, C]; norms get +1e-5, so a zero feature stays zero.
    """
    flat = features.flatten(1).T.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    return flat.div_(flat.norm(dim=1, keepdim=True) + 1e-5)


def prompt_indices(height: int, width: int, stride: int, device: torch.device) -> torch.Tensor:
    """Flat indices of the prompts' patches: every `stride`-th patch, row by row, int64 [N]."""
    grid = torch.arange(height * width, device=device).view(height, width)
    return grid[::stride, ::stride].flatten()


def prompt_masks(unit: torch.Tensor, prompts: torch.Tensor, threshold: float) -> torch.Tensor:
    """Patches whose cosine affinity to a prompt is above the threshold.

    Args:
        unit: float32 tensor [h * w, C] of unit features.
        prompts: int64 tensor [N], flat patch indices.
        threshold: cosine in [-1, 1].

    Returns:
        bool tensor [N, h * w].
    """
    return unit[prompts] @ unit.T > threshold


def covers_two_borders(masks: torch.Tensor) -> torch.Tensor:
    """Which masks fill more than half of the patches of at least two of the image's borders.

    Args:
        masks: bool tensor [N, h, w].

    Returns:
        bool tensor [N].
    """
    borders = (masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1])
    # "Rounded half to even, then > 0.5" leaves exactly the fractions above one half.
    filled = torch.stack([2 * border.sum(1) > border.shape[1] for border in borders])
    return filled.sum(0) >= 2


class Prompted(NamedTuple):
    """What the prompts of one image gave.

    Attributes:
        proposals: bool tensor [P, h, w]; prompts row by row, and within a prompt by descending
            area, ties in raster order.
        owners: int64 tensor [P], the prompt of each proposal.
        candidates: bool tensor [B, h, w], the background candidates.
        is_candidate: bool tensor [N], which prompts gave a background candidate.
    """

    proposals: torch.Tensor
    owners: torch.Tensor
    candidates: torch.Tensor
    is_candidate: torch.Tensor


def propose(unit: torch.Tensor, height: int, width: int, config: ProMergeConfig) -> Prompted:
    """Turns every prompt into instance proposals or into one background candidate.

    Args:
        unit: float32 tensor [h * w, C] of unit features.
        height: rows of the patch grid.
        width: columns of the patch grid.
        config: uses `seed_stride`, `affinity_threshold`, `component_area_ratio`.
    """
    prompts = prompt_indices(height, width, config.seed_stride, unit.device)
    masks = prompt_masks(unit, prompts, config.affinity_threshold).view(-1, height, width)
    is_candidate = covers_two_borders(masks)
    other = (~is_candidate).nonzero()[:, 0]
    proposals, owners = _large_components(masks[other], prompts[other], config)
    return Prompted(proposals, other[owners], masks[is_candidate], is_candidate)


def _large_components(
    masks: torch.Tensor, prompts: torch.Tensor, config: ProMergeConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Components that are large against the one that holds their mask's prompt; their masks."""
    _, height, width = masks.shape
    labels, areas = connected_components(masks)
    # A prompt with a zero feature, or a threshold near 1, can lie outside its own mask: area 0.
    own = labels.flatten(1).gather(1, prompts[:, None])[:, 0].long()
    own_area = torch.cat([areas, areas.new_zeros(1)])[own]
    pixel = masks.flatten().nonzero()[:, 0]
    component = labels.flatten()[pixel].long()
    owner = torch.empty_like(areas)
    owner[component] = pixel // (height * width)

    large = areas >= config.component_area_ratio * own_area[owner]
    chosen = large.nonzero()[:, 0]
    chosen = chosen[areas[chosen].argsort(descending=True, stable=True)]
    chosen = chosen[owner[chosen].argsort(stable=True)]
    rank = torch.full_like(areas, -1)
    rank[chosen] = torch.arange(len(chosen), device=masks.device)

    target = rank[component]
    taken = target >= 0
    proposals = masks.new_zeros(len(chosen), height * width)
    proposals[target[taken], pixel[taken] % (height * width)] = True
    return proposals.view(-1, height, width), owner[chosen]
