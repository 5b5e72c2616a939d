"""Connected components and holes of many masks at once, on their device."""

from __future__ import annotations

import torch

from .fixed_point import fixed_point


def connected_components(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels the 4-connected components of many masks at once, on their device.

    The pixels are first gathered into horizontal runs; runs that touch vertically are edges of a
    graph, whose components are found by hooking each run to the lowest label it touches and
    halving paths, in a number of rounds that grows with the logarithm of the longest path.

    Args:
        masks: bool tensor [N, h, w].

    Returns:
        labels: int32 tensor [N, h, w]; -1 outside the masks. Components are numbered from 0
            through all masks, in raster order of their first pixel.
        areas: int64 tensor [number of components], in pixels.
    """
    _, height, width = masks.shape
    starts = masks.clone()
    starts[..., 1:] &= ~masks[..., :-1]
    run = starts.flatten().cumsum(0, dtype=torch.int32).sub_(1)
    runs = int(run[-1]) + 1 if len(run) else 0
    # Where two runs begin to touch, at least one of them begins.
    touch = masks[:, 1:] & masks[:, :-1] & (starts[:, 1:] | starts[:, :-1])
    edge = touch.flatten().nonzero()[:, 0]
    upper = edge + edge // max((height - 1) * width, 1) * width
    parent = _graph_components(runs, run[upper].long(), run[upper + width].long())

    is_root = parent == torch.arange(runs, device=masks.device)
    number = is_root.cumsum(0, dtype=torch.int32).sub_(1)[parent]
    if runs == 0:
        return run.view(masks.shape), number.long()
    labels = number.index_select(0, run.clamp_(min=0)).view(masks.shape).masked_fill_(~masks, -1)
    areas = torch.bincount(labels.flatten() + 1, minlength=int(is_root.sum()) + 1)[1:]
    return labels, areas


def _graph_components(nodes: int, tail: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """For each node the lowest node of its component, int64 [nodes]."""
    ends = torch.cat([tail, head])

    def hook(parent: torch.Tensor) -> torch.Tensor:
        lowest = torch.minimum(parent[tail], parent[head]).repeat(2)
        hooked = parent.scatter_reduce(0, parent[ends], lowest, "amin")
        hooked = hooked.scatter_reduce(0, ends, lowest, "amin")
        return hooked[hooked]

    return fixed_point(hook, torch.arange(nodes, device=tail.device))


def fill_holes(masks: torch.Tensor) -> torch.Tensor:
    """Fills what a mask encloses: background not 4-connected to the image's border.

    Args:
        masks: bool tensor [M, h, w].

    Returns:
        bool tensor [M, h, w], as scipy.ndimage.binary_fill_holes gives for each mask.
    """
    if masks.numel() == 0:
        return masks
    outside = torch.nn.functional.pad(~masks, (1, 1, 1, 1), value=True)
    labels, _ = connected_components(outside)
    reached = labels == labels[:, :1, :1]
    return ~reached[:, 1:-1, 1:-1]
