"""Proposals -> instances (ProMerge, section 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from promerge_core.config import ProMergeConfig

from .padding import choose_rows, in_order
from .pruning import mask_areas, mean_features


def merge(
    kept: torch.Tensor, unit: torch.Tensor, config: ProMergeConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Joins kept proposals that lie on one another, or that overlap and look alike.

    By descending area, each proposal joins every cluster so far that covers more than
    `merge_overlap` of it, or more than `merge_overlap_similar` while their mean features are at
    least `merge_similarity` similar; clusters joined by one proposal become one.

    Args:
        kept: bool tensor [B, K, h, w], of each image its own first, then empty ones.
        unit: float32 tensor [B, h * w, C] of unit features.
        config: uses `merge_overlap`, `merge_overlap_similar`, `merge_similarity`.

    Returns:
        merged: bool tensor [B, M, h, w], by descending area of the largest proposal in each.
        cluster: int64 tensor [B, K], which of `merged` each of `kept` is part of; -1 for an empty
            mask.
    """
    areas, order = mask_areas(kept).sort(dim=1, descending=True, stable=True)
    kept = in_order(kept, order)
    masks = kept.flatten(2).float()
    # For each proposal, what gives its overlap with a cluster and its similarity to it together.
    responses = torch.stack([masks, mean_features(kept, unit) @ unit.mT], dim=2)
    merged, members = _join_in_turn(masks, areas, responses, config)
    number = torch.arange(1, 1 + merged.shape[1], device=kept.device)[:, None]
    cluster = torch.empty_like(order).scatter_(1, order, (number * members).sum(1).long() - 1)
    return (merged > 0).unflatten(2, kept.shape[2:]), cluster


def _join_in_turn(
    masks: torch.Tensor, areas: torch.Tensor, responses: torch.Tensor, config: ProMergeConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clusters that proposals make, each joining those before it: 0 and 1 in float32.

    Args:
        masks: float32 tensor [B, K, h * w], by descending area.
        areas: int32 tensor [B, K].
        responses: float32 tensor [B, K, 2, h * w]; see `_joins`.
        config: see `merge`.

    Returns:
        merged: float32 tensor [B, M, h * w], by the age of the first proposal in each.
        members: float32 tensor [B, M, K], which proposals are in each.
    """
    images, count, patches = masks.shape
    # The proposals in a cluster are joined as its patches are: as further entries of its row.
    identity = torch.eye(count, device=masks.device).expand(images, -1, -1)
    rows = torch.cat([masks, identity], dim=2)
    image = torch.arange(images, device=masks.device)
    # A cluster that joins an older one leaves an empty row.
    clusters, begun = torch.zeros_like(rows), 0
    for index in range(count):
        older, area = clusters[:, :begun], areas[:, index, None]
        joins = _joins(responses[:, index], area, older[..., :patches], config)
        into = F.pad(joins, (0, 1), value=True).int().argmax(1)
        joined = (joins[:, None].float() @ older)[:, 0] + rows[:, index]
        older.masked_fill_(joins[..., None], 0)
        clusters[image, into] = joined.clamp_(max=1)
        begun = _rows_begun(begun, into, area)
    found = clusters[:, :begun]
    merged, members = choose_rows(found, found[..., :patches].any(2)).split([patches, count], dim=2)
    return merged, members


def _rows_begun(begun: int, into: torch.Tensor, area: torch.Tensor) -> int:
    """How many rows can hold a cluster after each image's next proposal.

    On a GPU one more than before: to look at where they went would make the host wait for it.
    """
    if into.device.type != "cpu":
        return begun + 1
    # An empty mask begins nothing.
    return max(begun, int(into.where(area[:, 0] > 0, 0).amax()) + 1)


def _joins(
    responses: torch.Tensor, area: torch.Tensor, clusters: torch.Tensor, config: ProMergeConfig
) -> torch.Tensor:
    """Which clusters of its image one proposal of each image joins.

    Args:
        responses: float32 tensor [B, 2, h * w], the proposal's mask, and the cosine of each patch
            to its mean feature.
        area: int32 tensor [B, 1] of the proposal.
        clusters: float32 tensor [B, M, h * w].
        config: see `merge`.

    Returns:
        bool tensor [B, M].
    """
    shared, similarity = (responses @ clusters.mT).unbind(1)
    overlap = shared / area
    similar = similarity / clusters.sum(2).clamp_(min=1) >= config.merge_similarity
    return (overlap > config.merge_overlap) | ((overlap > config.merge_overlap_similar) & similar)
