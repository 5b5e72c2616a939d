"""Proposals -> instances (ProMerge, section 3.3)."""

from __future__ import annotations

import torch

from .config import ProMergeConfig
from .pruning import mask_areas, mean_features


def merge(
    kept: torch.Tensor, unit: torch.Tensor, config: ProMergeConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Joins kept proposals that lie on one another, or that overlap and look alike.

    By descending area, each proposal joins every cluster so far that covers more than
    `merge_overlap` of it, or more than `merge_overlap_similar` while their mean features are at
    least `merge_similarity` similar; clusters joined by one proposal become one.

    Args:
        kept: bool tensor [K, h, w].
        unit: float32 tensor [h * w, C] of unit features.
        config: uses `merge_overlap`, `merge_overlap_similar`, `merge_similarity`.

    Returns:
        merged: bool tensor [M, h, w], by descending area of the largest proposal in each.
        votes: int64 tensor [M], how many proposals each was merged from.
    """
    areas = mask_areas(kept)
    order = areas.argsort(descending=True, stable=True)
    kept, areas = kept[order], areas[order].float()
    masks = kept.flatten(1).float()
    # Of each proposal, what gives its overlap with a cluster and its similarity to it in one go.
    columns = torch.stack([masks, mean_features(kept, unit) @ unit.T], dim=2)
    clusters = torch.zeros_like(masks)
    votes: list[int] = []
    for mask, column, area in zip(masks, columns, areas, strict=True):
        begun = clusters[: len(votes)]
        shared, similarity = (begun @ column).unbind(1)
        overlap = shared / area
        similar = similarity / begun.sum(1).clamp_(min=1) >= config.merge_similarity
        joins = (overlap > config.merge_overlap) | (
            (overlap > config.merge_overlap_similar) & similar
        )
        into, *others = joins.nonzero()[:, 0].tolist() or [len(votes)]
        if into == len(votes):
            votes.append(0)
        clusters[into].clamp_(min=mask)
        votes[into] += 1
        for other in others:
            # A joined cluster stays behind as an empty row, which overlaps nothing.
            clusters[into].clamp_(min=clusters[other])
            votes[into] += votes[other]
            clusters[other] = 0
            votes[other] = 0
    counts = torch.tensor(votes, dtype=torch.int64, device=masks.device)
    found = counts > 0
    return (clusters[: len(votes)][found] > 0).unflatten(1, kept.shape[1:]), counts[found]
