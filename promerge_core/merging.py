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
        cluster: int64 tensor [K], which of `merged` each of `kept` is part of.
    """
    areas = mask_areas(kept)
    order = areas.argsort(descending=True, stable=True)
    kept, areas = kept[order], areas[order].float()
    masks = kept.flatten(1).float()
    # Of each proposal, what gives its overlap with a cluster and its similarity to it in one go.
    columns = torch.stack([masks, mean_features(kept, unit) @ unit.T], dim=2)
    # One proposal is looked at after the other; on a GPU every look would wait for the device.
    order, areas, masks, columns = (values.cpu() for values in (order, areas, masks, columns))
    clusters = torch.zeros_like(masks)
    members: list[list[int]] = []
    for index, (mask, column, area) in enumerate(zip(masks, columns, areas, strict=True)):
        begun = clusters[: len(members)]
        shared, similarity = (begun @ column).unbind(1)
        overlap = shared / area
        similar = similarity / begun.sum(1).clamp_(min=1) >= config.merge_similarity
        joins = (overlap > config.merge_overlap) | (
            (overlap > config.merge_overlap_similar) & similar
        )
        into, *others = joins.nonzero()[:, 0].tolist() or [len(members)]
        if into == len(members):
            members.append([])
        clusters[into].clamp_(min=mask)
        members[into].append(index)
        for other in others:
            # A joined cluster stays behind as an empty row, which overlaps nothing.
            clusters[into].clamp_(min=clusters[other])
            members[into] += members[other]
            clusters[other] = 0
            members[other] = []
    found = [row for row, indices in enumerate(members) if indices]
    cluster = torch.empty_like(order)
    for number, row in enumerate(found):
        cluster[order[members[row]]] = number
    merged = (clusters[found] > 0).unflatten(1, kept.shape[1:])
    return merged.to(kept.device), cluster.to(kept.device)
