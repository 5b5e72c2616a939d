"""ProMerge as the paper writes it, one prompt and one proposal after the other: an oracle.

    python tests/oracles/plain_promerge.py

says how many times longer it takes than `segment_features`.
"""

from __future__ import annotations

import itertools
import statistics
import time

import numpy as np
import torch
from scipy import ndimage

from promerge_core import ProMergeConfig, segment_features
from promerge_core.profile.planted import INSTANCES, planted_features


def plain_proposals(features, config):
    """Section 3.1 prompt by prompt: proposals and background candidates."""
    unit = features / (features.norm(dim=0) + 1e-5)
    height, width = features.shape[1:]
    proposals, candidates = [], []
    for y, x in itertools.product(
        range(0, height, config.seed_stride), range(0, width, config.seed_stride)
    ):
        affinity = torch.einsum("chw,c->hw", unit, unit[:, y, x])
        mask = (affinity > config.affinity_threshold).numpy()
        borders = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
        if sum(round(float(border.mean())) > 0.5 for border in borders) >= 2:
            candidates.append(mask)
            continue
        labels, count = ndimage.label(mask)
        parts = [labels == k for k in range(1, count + 1)]
        own = mask[y, x] and parts[labels[y, x] - 1].sum()
        large = [part for part in parts if part.sum() >= config.component_area_ratio * own]
        proposals += sorted(large, key=lambda part: -part.sum())
    return proposals, candidates


def plain_prune(proposals, background, unit, config):
    """Section 3.2 proposal by proposal."""
    ground = unit[background].mean(0) if background.any() else np.zeros(unit.shape[-1])
    kept, union = [], np.zeros_like(background)
    for mask in sorted(proposals, key=lambda mask: mask.sum()):
        new = mask & ~union
        if not new.any() or (new & background).sum() / new.sum() >= config.background_overlap:
            continue
        if unit[mask].mean(0) @ ground < config.background_similarity:
            kept.append(mask)
            union = union | mask
    return kept


def plain_merge(kept, unit, config):
    """Section 3.3 proposal by proposal: clusters and their votes."""
    clusters = []
    for mask in sorted(kept, key=lambda mask: -mask.sum()):
        joined, votes, others = mask, 1, []
        for cluster, count in clusters:
            overlap = (mask & cluster).sum() / mask.sum()
            similar = unit[mask].mean(0) @ unit[cluster].mean(0) >= config.merge_similarity
            if overlap > config.merge_overlap or (
                overlap > config.merge_overlap_similar and similar
            ):
                joined, votes = joined | cluster, votes + count
            else:
                others.append((cluster, count))
        clusters = [*others, (joined, votes)]
    return clusters


def plain_masks(features, config):
    """Instances of one image, from the features to the merged proposals."""
    proposals, candidates = plain_proposals(features, config)
    background = np.mean(candidates, axis=0) > 0.5
    unit = features / (features.norm(dim=0) + 1e-5)
    unit = unit.permute(1, 2, 0).numpy()
    kept = plain_prune(proposals, background, unit, config)
    return [mask for mask, _ in plain_merge(kept, unit, config)]


def main():
    config = ProMergeConfig()
    ratios = []
    for seed, instances in enumerate(INSTANCES):
        features = planted_features(768, instances, seed=seed)
        seconds = []
        for work in (segment_features, plain_masks):
            work(features, config)
            start = time.perf_counter()
            masks = work(features, config)
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[1] / seconds[0])
        print(f"{len(masks):3} masks: {seconds[0]:.3f} s, plain {seconds[1]:.3f} s")
    print(f"the plain loops take {statistics.median(ratios):.0f} times as long in the median")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
