"""Regions of like patches: the graph of them, and how they are joined."""

from __future__ import annotations

import torch

from promerge_core.backbones.embedded import describe_patches
from promerge_core.backbones.regions import agglomerate, patch_graph


def test_agglomeration_stops_at_the_asked_number() -> None:
    images = torch.rand(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    graph = patch_graph(describe_patches(images))
    joined = agglomerate(graph, lambda graph: graph.distances(), count=7, limit=torch.inf)
    assert torch.bincount(joined.image).tolist() == [7, 7, 7]
    assert int(joined.area.sum()) == 3 * 20 * 20
    assert torch.equal(joined.total.sum(0), graph.total.sum(0))


def test_agglomeration_keeps_what_costs_too_much_apart() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1
    graph = patch_graph(describe_patches(image))
    joined = agglomerate(graph, lambda graph: graph.distances(), count=1, limit=0.05)
    columns = joined.label.view(8, 8)
    assert not set(columns[:, 0].tolist()) & set(columns[:, -1].tolist())
