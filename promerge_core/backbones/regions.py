"""Regions of like patches, joined step by step as Ward's clustering does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

# Sums over patches are whole numbers of this step: no order of summation, and so no batch size
# and no device, can change them.
STEP = 2.0**-16
# A contrast that is divided by counts as at least this.
TINY = 1e-3


@dataclasses.dataclass
class RegionGraph:
    """Regions of patches of a batch of images, and which of them touch.

    Regions are numbered through all images, those of one image without a gap. Edges join regions
    of one image, tail < head, in ascending order.

    Attributes:
        label: int64 [B * h * w], the region of each patch.
        image: int64 [R], the image of each region.
        area: int64 [R], in patches.
        total: int64 [R, D], sum of the patches' descriptors, in `STEP`.
        background: bool [R].
        contrast: int64 [R], sum of the patches' distance to the background, in `STEP`.
        tail: int64 [E].
        head: int64 [E].
        length: int64 [E], length of the common border, in patches.
        border: int64 [E], sum of the descriptors' differences across that border, in `STEP`.
    """

    label: torch.Tensor
    image: torch.Tensor
    area: torch.Tensor
    total: torch.Tensor
    background: torch.Tensor
    contrast: torch.Tensor
    tail: torch.Tensor
    head: torch.Tensor
    length: torch.Tensor
    border: torch.Tensor

    def means(self) -> torch.Tensor:
        """Mean descriptor of each region, float32 [R, D]."""
        return self.total.float() * STEP / self.area[:, None]

    def distances(self) -> torch.Tensor:
        """Squared distance of the two regions of each edge, float32 [E].

        One fifth the distance of their means, four fifths the difference along their border: a
        sky that grows lighter towards the horizon stays one region.
        """
        means = self.means()
        apart = (means[self.tail] - means[self.head]).square().sum(1)
        return 0.2 * apart + 0.8 * (self.border.float() * STEP / self.length).square()

    def sizes(self) -> torch.Tensor:
        """Half the harmonic mean of the two areas of each edge, in patches, float32 [E]."""
        tail, head = self.area[self.tail].float(), self.area[self.head].float()
        return tail * head / (tail + head)


def patch_graph(descriptors: torch.Tensor) -> RegionGraph:
    """The graph in which every patch is a region: descriptors [B, D, h, w] -> `RegionGraph`."""
    batch, _, height, width = descriptors.shape
    index = torch.arange(batch * height * width, device=descriptors.device)
    grid = index.view(batch, height, width)
    tail = torch.cat([grid[:, :, :-1].flatten(), grid[:, :-1].flatten()])
    head = torch.cat([grid[:, :, 1:].flatten(), grid[:, 1:].flatten()])
    total = (descriptors.permute(0, 2, 3, 1).flatten(0, 2) / STEP).round().long()
    difference = (total[tail] - total[head]).float().square().sum(1).sqrt()
    graph = RegionGraph(
        label=index,
        image=index // (height * width),
        area=torch.ones_like(index),
        total=total,
        background=torch.zeros_like(index, dtype=torch.bool),
        contrast=torch.zeros_like(index),
        tail=tail,
        head=head,
        length=torch.ones_like(tail),
        border=difference.round().long(),
    )
    return join_regions(graph, index)


def join_regions(graph: RegionGraph, parent: torch.Tensor) -> RegionGraph:
    """Joins regions of the same parent.

    Args:
        graph: R regions.
        parent: int64 [R], a region of the same image for each; regions with the same become one.

    Returns:
        the graph of the joined regions, in the order of their parents.
    """
    roots, target = parent.unique(return_inverse=True)
    count = len(roots)
    tail, head = target[graph.tail], target[graph.head]
    low, high = torch.minimum(tail, head), torch.maximum(tail, head)
    kept = low != high
    keys, edge = (low * count + high)[kept].unique(return_inverse=True)
    return RegionGraph(
        label=target[graph.label],
        image=graph.image[roots],
        area=sum_by(target, graph.area, count),
        total=sum_by(target, graph.total, count),
        background=graph.background[roots],
        contrast=sum_by(target, graph.contrast, count),
        tail=keys // count,
        head=keys % count,
        length=sum_by(edge, graph.length[kept], len(keys)),
        border=sum_by(edge, graph.border[kept], len(keys)),
    )


def sum_by(group: torch.Tensor, values: torch.Tensor, count: int) -> torch.Tensor:
    """Sums values group by group.

    Args:
        group: int64 [N], the group of each value, below `count`.
        values: int64 [N, ...].
        count: number of groups.

    Returns:
        int64 tensor [count, ...]; zero for a group without values.
    """
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, group, values)


def agglomerate(
    graph: RegionGraph,
    cost: Callable[[RegionGraph], torch.Tensor],
    count: int,
    limit: float,
) -> RegionGraph:
    """Joins neighbours, cheapest first, until each image has `count` regions or none is cheap.

    Every round joins all pairs whose edge is the cheapest of both, in all images at once; for
    costs that never fall when regions grow this gives what joining one pair at a time gives.

    Args:
        graph: the regions to begin with.
        cost: float32 [E] for a graph.
        count: the number of regions at which an image is done.
        limit: regions are never joined across an edge that costs as much or more.

    Returns:
        the graph of the joined regions.
    """
    while True:
        pairs = _affordable(graph, _cheapest_pairs(graph, cost(graph), limit), count)
        if len(pairs) == 0:
            return graph
        parent = torch.arange(len(graph.area), device=graph.area.device)
        parent[graph.head[pairs]] = graph.tail[pairs]
        graph = join_regions(graph, parent)


def _cheapest_pairs(graph: RegionGraph, cost: torch.Tensor, limit: float) -> torch.Tensor:
    """Edges below the limit that are the cheapest of both their regions, cheapest first, int64."""
    order = ((cost + TINY**3) * _tie_breaker(graph)).argsort(stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    best = rank.new_full((len(graph.area),), len(order))
    best.scatter_reduce_(0, graph.tail, rank, "amin")
    best.scatter_reduce_(0, graph.head, rank, "amin")
    chosen = (best[graph.tail] == rank) & (best[graph.head] == rank) & (cost < limit)
    return order[chosen[order]]


def _tie_breaker(graph: RegionGraph) -> torch.Tensor:
    """Factors of 1 to 1.01, scattered over an image's edges, float32 [E].

    Where all edges cost the same, as in a plain image, these let many pairs be joined in a round.
    """
    first = torch.searchsorted(graph.image, graph.image[graph.tail])
    return 1 + ((graph.tail - first) * 7919 + (graph.head - first) * 6271) % 1009 / 1e5


def _affordable(graph: RegionGraph, pairs: torch.Tensor, count: int) -> torch.Tensor:
    """The first of the pairs of each image that leave it at least `count` regions."""
    image = graph.image[graph.tail[pairs]]
    by_image = image.argsort(stable=True)
    pairs, image = pairs[by_image], image[by_image]
    position = torch.arange(len(pairs), device=pairs.device) - torch.searchsorted(image, image)
    return pairs[position < torch.bincount(graph.image)[image] - count]
