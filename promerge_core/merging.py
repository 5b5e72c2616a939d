"""Proposals -> instances (ProMerge, section 3.3)."""

from __future__ import annotations

import torch

from .config import ProMergeConfig
from .pruning import mean_features, mean_response


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
        merged: bool tensor [M, h, w], by descending area of the proposal that began each.
        votes: int64 tensor [M], how many proposals each was merged from.
    """
    areas = kept.flatten(1).sum(1)
    order = areas.argsort(descending=True, stable=True)
    kept, areas = kept[order], areas[order]
    responses = mean_features(kept, unit) @ unit.T
    clusters = kept[:0]
    votes = areas[:0]
    for proposal, area, response in zip(kept, areas, responses, strict=True):
        overlap = (clusters & proposal).flatten(1).sum(1) / area
        similar = mean_response(clusters, response) >= config.merge_similarity
        joins = (overlap > config.merge_overlap) | (
            (overlap > config.merge_overlap_similar) & similar
        )
        clusters, votes = _join(clusters, votes, proposal, joins)
    return clusters, votes


def _join(
    clusters: torch.Tensor, votes: torch.Tensor, proposal: torch.Tensor, joins: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Puts the proposal and all clusters it joins into the place of the first of them."""
    hits = joins.nonzero()[:, 0]
    joined = proposal | clusters[hits].any(0)
    total = 1 + votes[hits].sum()
    if len(hits) == 0:
        return torch.cat([clusters, joined[None]]), torch.cat([votes, total[None]])
    clusters, votes = clusters.clone(), votes.clone()
    clusters[hits[0]], votes[hits[0]] = joined, total
    stays = ~joins
    stays[hits[0]] = True
    return clusters[stays], votes[stays]
