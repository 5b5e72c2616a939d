"""Which regions are background, by their ties to the image's borders (Zhu et al., CVPR 2014)."""

from __future__ import annotations

import dataclasses

import torch

from .regions import STEP, TINY, RegionGraph, join_regions, sum_by


def split_background(graph: RegionGraph, batch: int, height: int, width: int) -> RegionGraph:
    """Joins the background of each image into one region and sets `background` and `contrast`.

    Args:
        graph: the same number of regions K for each image.
        batch: number of images B.
        height: rows of the patch grid.
        width: columns of the patch grid.

    Returns:
        the graph in which one region of each image is its background.
    """
    grid = graph.label.view(batch, height, width)
    regions = len(graph.area) // batch
    borders = (grid[:, 0], grid[:, -1], grid[:, :, 0], grid[:, :, -1])
    on_border = torch.stack(
        [torch.bincount(border.flatten(), minlength=len(graph.area)) for border in borders]
    ).view(4, batch, regions)
    area = graph.area.view(batch, regions)
    background = _border_regions(_geodesic_affinity(graph, batch), area, on_border, height, width)

    means = graph.means().view(batch, regions, -1)
    apart = (means[:, :, None] - means[:, None]).square().sum(3).sqrt()
    weight = area * background
    contrast = (apart * weight[:, None]).sum(2) / weight.sum(1, keepdim=True)
    parent = torch.arange(len(graph.area), device=area.device).view(batch, regions)
    first = parent.gather(1, background.long().argmax(1, keepdim=True))
    graph = dataclasses.replace(
        graph,
        background=background.flatten(),
        contrast=graph.area * (contrast.flatten() / STEP).round().long(),
    )
    return join_regions(graph, torch.where(background, first, parent).flatten())


def _geodesic_affinity(graph: RegionGraph, batch: int) -> torch.Tensor:
    """How much regions of an image belong together, float32 [B, K, K] in [0, 1].

    A Gaussian of the length of the shortest path from one to the other; its deviation is 0.4 of
    the image's mean contrast along the borders of regions.
    """
    regions = len(graph.area) // batch
    step = graph.distances().sqrt()
    image = graph.image[graph.tail]
    border = sum_by(image, graph.length, batch).clamp(min=1)
    scale = sum_by(image, (step * graph.length / STEP).round().long(), batch) * STEP / border
    path = step.new_full((batch, regions, regions), torch.inf)
    tail, head = graph.tail % regions, graph.head % regions
    path[image, tail, head] = step
    path[image, head, tail] = step
    path.diagonal(dim1=1, dim2=2).zero_()
    for via in range(regions):
        path = torch.minimum(path, path[:, :, via, None] + path[:, None, via])
    return (-0.5 * (path / (0.4 * scale).clamp(min=TINY)[:, None, None]).square()).exp()


def _border_regions(
    affinity: torch.Tensor, area: torch.Tensor, on_border: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Which regions are background, bool [B, K].

    Those whose boundary connectivity (length on the image's border by the square root of area,
    both over all regions that belong together) is above 1, and at least so many, best connected
    first, that they fill most of two borders and an eighth of the image: a vote needs that.

    Args:
        affinity: float32 [B, K, K].
        area: int64 [B, K], in patches.
        on_border: int64 [4, B, K], patches on the top, bottom, left and right border.
        height: rows of the patch grid.
        width: columns of the patch grid.
    """
    length = (affinity * on_border.sum(0)[:, None]).sum(2)
    connectivity = length / (affinity * area[:, None]).sum(2).sqrt()
    order = connectivity.argsort(dim=1, descending=True, stable=True)
    covered = on_border.gather(2, order.expand_as(on_border)).cumsum(2)
    sides = torch.tensor([width, width, height, height], device=area.device).view(4, 1, 1)
    enough = ((2 * covered > sides).sum(0) >= 2) & (
        8 * area.gather(1, order).cumsum(1) >= height * width
    )
    needed = torch.empty_like(enough).scatter_(1, order, enough.cumsum(1) <= 1)
    return needed | (connectivity > 1)
