"""Prompts -> affinities -> proposals and background candidates (ProMerge, section 3.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch

from promerge_core.config import ProMergeConfig
from promerge_core.masks.components import connected_components


def unit_features(features: torch.Tensor) -> torch.Tensor:
    """Patch features scaled to length one.

    Args:
        features: float tensor [..., C, h, w].

    Returns:
        float32 tensor [..., h * w, C]; norms get +1e-5, so a zero feature stays zero.
    """
    flat = features.flatten(-2).mT.to(
        torch.float32, copy=True, memory_format=torch.contiguous_format
    )
    return flat.div_(flat.norm(dim=-1, keepdim=True) + 1e-5)


def prompt_indices(height: int, width: int, stride: int, device: torch.device) -> torch.Tensor:
    """The prompts' patches: every `stride`-th patch in both directions, row by row.

    Args:
        height: rows of the patch grid.
        width: columns of the patch grid.
        stride: in patches.
        device: where the result is.

    Returns:
        int64 tensor [N] of flat indices.
    """
    grid = torch.arange(height * width, device=device).view(height, width)
    return grid[::stride, ::stride].flatten()


def prompt_affinities(unit: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """Cosine affinity of every patch to each prompt.

    Args:
        unit: float32 tensor [..., h * w, C] of unit features.
        prompts: int64 tensor [N], flat patch indices.

    Returns:
        float32 tensor [..., N, h * w], in [-1, 1].
    """
    return unit[..., prompts, :] @ unit.mT


def covers_two_borders(masks: torch.Tensor) -> torch.Tensor:
    """Which masks fill more than half of the patches of at least two of the image's borders.

    Args:
        masks: bool tensor [..., h, w].

    Returns:
        bool tensor [...].
    """
    borders = (masks[..., 0, :], masks[..., -1, :], masks[..., 0], masks[..., -1])
    # "Rounded half to even, then > 0.5" leaves exactly the fractions above one half.
    filled = torch.stack([2 * border.sum(-1) > border.shape[-1] for border in borders])
    return filled.sum(0) >= 2


class Prompted(NamedTuple):
    """What the N prompts of each of B images gave.

    Attributes:
        masks: bool tensor [B, N, h, w], the patches similar to each prompt's.
        is_candidate: bool tensor [B, N], which of them are background candidates.
        proposals: bool tensor [P, h, w] of all images, one after the other; prompts row by row,
            and within a prompt by descending area, ties in raster order.
        images: int64 tensor [P], the image of each proposal.
        owners: int64 tensor [P], the prompt of each proposal.
    """

    masks: torch.Tensor
    is_candidate: torch.Tensor
    proposals: torch.Tensor
    images: torch.Tensor
    owners: torch.Tensor


def propose(
    unit: torch.Tensor,
    height: int,
    width: int,
    config: ProMergeConfig,
    ground: torch.Tensor | None = None,
) -> Prompted:
    """Turns every prompt into instance proposals or into one background candidate.

    Args:
        unit: float32 tensor [B, h * w, C] of unit features.
        height: rows of the patch grid.
        width: columns of the patch grid.
        config: uses `seed_stride`, `affinity_threshold`, `component_area_ratio`.
        ground: bool tensor [B, h, w], what `plain_ground` gives: each prompt on it proposes all of
            it as background, and the others propose nothing on it. None: what fills most of two
            borders is a background candidate, as in the paper.

    Returns:
        the `Prompted`.
    """
    prompts = prompt_indices(height, width, config.seed_stride, unit.device)
    masks = prompt_affinities(unit, prompts) > config.affinity_threshold
    masks = masks.unflatten(2, (height, width))
    if ground is None:
        is_candidate = covers_two_borders(masks)
    else:
        is_candidate = ground.flatten(1)[:, prompts]
        masks = torch.where(
            is_candidate[..., None, None], ground[:, None], masks & ~ground[:, None]
        )
    image, prompt = (~is_candidate).nonzero(as_tuple=True)
    ratio = config.component_area_ratio
    proposals, owners = _large_components(masks[image, prompt], prompts[prompt], ratio)
    return Prompted(masks, is_candidate, proposals, image[owners], prompt[owners])


def _large_components(
    masks: torch.Tensor, prompts: torch.Tensor, ratio: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Components large enough beside the one that holds their mask's prompt, and their masks."""
    _, height, width = masks.shape
    labels, areas = connected_components(masks)
    # A prompt with a zero feature, or a threshold near 1, can lie outside its own mask: area 0.
    own = labels.flatten(1).gather(1, prompts[:, None])[:, 0].long()
    own_area = torch.cat([areas, areas.new_zeros(1)])[own]
    pixel = masks.flatten().nonzero()[:, 0]
    component = labels.flatten()[pixel].long()
    owner = torch.empty_like(areas)
    owner[component] = pixel // (height * width)

    large = areas >= ratio * own_area[owner]
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
