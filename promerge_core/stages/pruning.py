"""The cascade that prunes proposals which look like background (ProMerge, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from promerge_core.config import ProMergeConfig

from .padding import choose_rows


def mask_areas(masks: torch.Tensor) -> torch.Tensor:
    """Number of patches in each mask: bool [..., h, w] -> int32 [...]."""
    return masks.flatten(-2).sum(-1, dtype=torch.int32)


def mean_features(masks: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Mean of the unit features inside each mask; itself not of unit length.

    Args:
        masks: bool tensor [..., M, h, w].
        unit: float32 tensor [..., h * w, C].

    Returns:
        float32 tensor [..., M, C]; zero for an empty mask.
    """
    return masks.flatten(-2).float() @ unit / mask_areas(masks)[..., None].clamp(min=1)


def mean_response(masks: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """Mean of a per-patch value inside each mask.

    With `response = unit @ f` this is <mean feature of the mask, f>, at the cost of one number a
    patch instead of C.

    Args:
        masks: bool tensor [..., M, h, w].
        response: float32 tensor [..., h * w].

    Returns:
        float32 tensor [..., M]; zero for an empty mask.
    """
    total = (masks.flatten(-2).float() @ response[..., None])[..., 0]
    return total / mask_areas(masks).clamp(min=1)


def background_response(background: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Cosine of each patch to the mean feature of the background.

    Args:
        background: bool tensor [B, h, w].
        unit: float32 tensor [B, h * w, C].

    Returns:
        float32 tensor [B, h * w].
    """
    return (unit @ mean_features(background[:, None], unit).mT)[..., 0]


class Judgement(NamedTuple):
    """Which proposals of each image the cascade keeps, by ascending area; empty masks come last.

    Attributes:
        order: int64 tensor [B, P], the proposals by ascending area.
        similarity: float32 tensor [B, P], of each proposal's mean feature to the background's.
        kept: bool tensor [B, P].
    """

    order: torch.Tensor
    similarity: torch.Tensor
    kept: torch.Tensor


def prune(
    proposals: torch.Tensor,
    background: torch.Tensor,
    response: torch.Tensor,
    config: ProMergeConfig,
) -> torch.Tensor:
    """Keeps the proposals that bring something new which is not background; see `judge`.

    Returns:
        bool tensor [B, K, h, w] of the kept proposals, by ascending area.
    """
    order, _, kept = judge(proposals, background, response, config)
    return choose_rows(in_order(proposals, order), kept)


def in_order(masks: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The masks [B, P, h, w] of each image in an order, int64 [B, P]."""
    return masks[torch.arange(len(masks), device=masks.device)[:, None], order]


def judge(
    proposals: torch.Tensor,
    background: torch.Tensor,
    response: torch.Tensor,
    config: ProMergeConfig,
) -> Judgement:
    """Judges each proposal by the two rules of the cascade.

    By ascending area, a proposal is kept when the patches that no kept one has yet are background
    at less than `background_overlap`, and its mean feature is less similar to the background's
    than `background_similarity`. The second rule looks at each proposal alone. The first is a
    cascade; it is solved by iterating it over all proposals at once. Whether a proposal is kept
    depends on smaller ones only, so every round settles at least one more of them, and the fixed
    point is the result of the sequential cascade.

    Args:
        proposals: bool tensor [B, P, h, w] in the order of generation, then empty ones.
        background: bool tensor [B, h, w].
        response: float32 tensor [B, h * w], what `background_response` gives.
        config: uses `background_overlap`, `background_similarity`.
    """
    areas = mask_areas(proposals)
    order = areas.where(areas > 0, response.shape[1] + 1).argsort(dim=1, stable=True)
    ascending = in_order(proposals, order)
    similarity = mean_response(ascending, response)
    distinct = (similarity < config.background_similarity) & (areas.gather(1, order) > 0)
    count_new = new_patches(choose_rows(ascending, distinct), background)
    own = choose_rows(distinct, distinct)
    settled = own
    while True:
        size, covered = count_new(settled)
        keep = (size > 0) & (covered / size.clamp(min=1) < config.background_overlap)
        if torch.equal(keep, settled):
            kept = torch.zeros_like(distinct).masked_scatter_(distinct, settled[own])
            return Judgement(order, similarity, kept)
        settled = keep


def new_patches(
    masks: torch.Tensor, background: torch.Tensor
) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Counts the patches of each mask that no kept mask before it has.

    Args:
        masks: bool tensor [B, P, h, w], by ascending area.
        background: bool tensor [B, h, w].

    Returns:
        a function of the kept masks, bool [B, P], that gives the number of new patches of each
        mask and how many of them are background, float32 [B, P] both.
    """
    masks, background = masks.flatten(2), background.flatten(1)
    count = masks.shape[1]
    order = torch.arange(count, device=masks.device, dtype=torch.int32)[:, None]
    inside = torch.where(masks, order, count)
    # One product counts both the new patches and those of them that are background.
    counted = torch.stack([torch.ones_like(background), background], dim=1).float()

    def count_new(kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if count == 0:
            return counted.new_zeros(kept.shape), counted.new_zeros(kept.shape)
        # The first kept proposal that holds a patch is the one to which the patch is new.
        first = torch.where(kept[..., None], inside, count).amin(1, keepdim=True)
        size, covered = (counted @ (masks & (first >= order)).float().mT).unbind(1)
        return size, covered

    return count_new
