"""Proposals -> instances (ProMerge, section 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from promerge_core.config import ProMergeConfig

from .padding import choose_rows
from .pruning import in_order, mask_areas, mean_features


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
    count, patches = masks.shape[1:]
    # Of each proposal, what gives its overlap with a cluster and its similarity to it in one go.
    responses = torch.stack([masks, mean_features(kept, unit) @ unit.mT], dim=2)
    # The proposals in a cluster are joined as its patches are: as further entries of its row.
    identity = torch.eye(count, device=kept.device).expand(len(kept), -1, -1)
    rows = torch.cat([masks, identity], dim=2)
    image = torch.arange(len(kept), device=kept.device)
    # By the age of their first proposal. One that joins an older one stays behind as an empty row.
    clusters, begun = torch.zeros_like(rows), 0
    for index in range(count):
        older = clusters[:, :begun]
        inside = older[..., :patches]
        shared, similarity = (responses[:, index] @ inside.mT).unbind(1)
        overlap = shared / areas[:, index, None]
        similar = similarity / inside.sum(2).clamp_(min=1) >= config.merge_similarity
        joins = (overlap > config.merge_overlap) | (
            (overlap > config.merge_overlap_similar) & similar
        )
        into = F.pad(joins, (0, 1), value=True).int().argmax(1)
        joined = (joins[:, None].float() @ older)[:, 0] + rows[:, index]
        older.masked_fill_(joins[..., None], 0)
        clusters[image, into] = joined.clamp_(max=1)
        # An empty mask begins nothing.
        begun = max(begun, int(into.where(areas[:, index] > 0, 0).amax()) + 1)
    found = clusters[:, :begun]
    found = choose_rows(found, found[..., :patches].any(2))
    merged, members = found.split([patches, count], dim=2)
    number = torch.arange(1, 1 + found.shape[1], device=kept.device)[:, None]
    cluster = torch.empty_like(order).scatter_(1, order, (number * members).sum(1).long() - 1)
    return (merged > 0).unflatten(2, kept.shape[2:]), cluster
