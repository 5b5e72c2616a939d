"""The embedded backbone: hand-made patch descriptors that need no weights.

It knows nothing of objects. Patches of 8 x 8 pixels are described by their colour and texture.
Neighbours that look alike are joined into regions, as Ward's clustering does, with the contrast
along their common border counting most. Regions tied to the image's borders become background, by
the boundary connectivity of Zhu et al. (Saliency Optimization from Robust Background Detection,
CVPR 2014). What is left is joined further, the more readily the more it stands out from the
background. Each patch then gets the direction of its region, so that ProMerge's prompts find the
regions. That finds a flower against dark leaves; it does not find a person in a crowd.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .base import Backbone

_PATCH = 8
_REGIONS = 40
# Sums over patches are whole numbers of this step: no order of summation, and so no batch size
# and no device, can change them.
_STEP = 2.0**-16
_TINY = 1e-3
# Linear sRGB to CIE XYZ, divided by the white point D65.
_RGB_TO_XYZ = (
    (0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505),
    (0.2126, 0.7152, 0.0722),
    (0.0193 / 1.0890, 0.1192 / 1.0890, 0.9505 / 1.0890),
)


class EmbeddedBackbone(Backbone):
    """Regions of like colour and texture as patch features.

    For demos, tests and air-gapped trials, and no substitute for a trained network. It needs no
    weights, is deterministic, and the result for an image does not depend on its batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = "embedded"
        self.patch_size = _PATCH
        self.dim = _REGIONS

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `Backbone.forward`.

        Raises:
            ValueError: the images' sides are not multiples of the patch size.
        """
        if images.shape[2] % _PATCH or images.shape[3] % _PATCH:
            raise ValueError(
                f"image sides must be multiples of the patch size {_PATCH}; "
                f"got {tuple(images.shape[2:])}"
            )
        descriptors = describe_patches((images.float() * self._std + self._mean).clamp(0, 1))
        batch, _, height, width = descriptors.shape
        regions = min(_REGIONS, height * width)
        graph = agglomerate(patch_graph(descriptors), _region_cost, regions, torch.inf)
        graph = split_background(graph, batch, height, width)
        graph = agglomerate(graph, _instance_cost, 1, _INSTANCE_LIMIT)
        codes = region_codes(graph, batch)
        return codes[graph.label].view(batch, height, width, _REGIONS).permute(0, 3, 1, 2)


def describe_patches(rgb: torch.Tensor) -> torch.Tensor:
    """Colour and texture of each patch.

    Args:
        rgb: float32 tensor [B, 3, S, S] in [0, 1].

    Returns:
        float32 tensor [B, 7, S/8, S/8]: mean CIE L, a and b in units of 100, a and b 1.5 times;
        and a tenth of the logarithm of the gradient's strength in four directions, smoothed over
        3 x 3 patches.
    """
    lab = _rgb_to_lab(rgb)
    colour = F.avg_pool2d(lab, _PATCH)
    colour = torch.cat([colour[:, :1], 1.5 * colour[:, 1:]], dim=1)
    lightness = F.pad(lab[:, :1], (0, 1, 0, 1), mode="replicate")
    right = lightness[..., :-1, 1:] - lightness[..., :-1, :-1]
    down = lightness[..., 1:, :-1] - lightness[..., :-1, :-1]
    diagonals = ((right + down) / 2**0.5, (right - down) / 2**0.5)
    energy = F.avg_pool2d(torch.cat([right, down, *diagonals], dim=1).abs(), _PATCH)
    energy = F.avg_pool2d(F.pad(energy, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.cat([colour, 0.1 * (energy + 0.01).log()], dim=1)


def _rgb_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """SRGB in [0, 1] to CIE Lab in units of 100, [B, 3, h, w]."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    red, green, blue = linear.unbind(1)
    xyz = torch.stack([r * red + g * green + b * blue for r, g, b in _RGB_TO_XYZ], dim=1)
    roots = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = roots.unbind(1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)


@dataclasses.dataclass
class RegionGraph:
    """Regions of patches of a batch of images, and which of them touch.

    Regions are numbered through all images, those of one image without a gap. Edges join regions
    of one image, tail < head, in ascending order.

    Attributes:
        label: int64 [B * h * w], the region of each patch.
        image: int64 [R], the image of each region.
        area: int64 [R], in patches.
        total: int64 [R, D], sum of the patches' descriptors, in `_STEP`.
        background: bool [R].
        contrast: int64 [R], sum of the patches' distance to the background, in `_STEP`.
        tail: int64 [E].
        head: int64 [E].
        length: int64 [E], length of the common border, in patches.
        border: int64 [E], sum of the descriptors' differences across that border, in `_STEP`.
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
        return self.total.float() * _STEP / self.area[:, None]

    def distances(self) -> torch.Tensor:
        """Squared distance of the two regions of each edge, float32 [E].

        One fifth the distance of their means, four fifths the difference along their border: a
        sky that grows lighter towards the horizon stays one region.
        """
        means = self.means()
        apart = (means[self.tail] - means[self.head]).square().sum(1)
        return 0.2 * apart + 0.8 * (self.border.float() * _STEP / self.length).square()

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
    total = (descriptors.permute(0, 2, 3, 1).flatten(0, 2) / _STEP).round().long()
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
        area=_sum_by(target, graph.area, count),
        total=_sum_by(target, graph.total, count),
        background=graph.background[roots],
        contrast=_sum_by(target, graph.contrast, count),
        tail=keys // count,
        head=keys % count,
        length=_sum_by(edge, graph.length[kept], len(keys)),
        border=_sum_by(edge, graph.border[kept], len(keys)),
    )


def _sum_by(group: torch.Tensor, values: torch.Tensor, count: int) -> torch.Tensor:
    """Sums int64 values [N, ...] by their group, [count, ...]."""
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
        limit: edges that cost as much are never joined.
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
    order = ((cost + _TINY**3) * _tie_breaker(graph)).argsort(stable=True)
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


def _region_cost(graph: RegionGraph) -> torch.Tensor:
    """Distance, growing with the regions' size, so that small leftovers are joined first."""
    return graph.distances() * graph.sizes() ** 0.7


# Two parts of one instance differ by less than this part of what sets them off the background.
_INSTANCE_LIMIT = 0.25


def _instance_cost(graph: RegionGraph) -> torch.Tensor:
    """Distance relative to what sets the regions off the background; infinite for background.

    A region that touches one other only lies inside it, as coffee in a cup, and joins it for free.
    """
    contrast = graph.contrast.float() * _STEP / graph.area
    contrast = torch.minimum(contrast[graph.tail], contrast[graph.head]).clamp(min=_TINY)
    patches = len(graph.label) / (1 + graph.image[-1])
    cost = graph.distances() / contrast.square() * (graph.sizes() / patches) ** 0.3
    neighbours = torch.bincount(torch.cat([graph.tail, graph.head]), minlength=len(graph.area))
    cost = cost.masked_fill((neighbours[graph.tail] == 1) | (neighbours[graph.head] == 1), 0)
    excluded = graph.background[graph.tail] | graph.background[graph.head]
    return cost.masked_fill(excluded, torch.inf)


def split_background(graph: RegionGraph, batch: int, height: int, width: int) -> RegionGraph:
    """Joins the background of each image into one region and sets `background` and `contrast`.

    Args:
        graph: the same number of regions K for each image.
        batch: number of images B.
        height: rows of the patch grid.
        width: columns of the patch grid.
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
        contrast=graph.area * (contrast.flatten() / _STEP).round().long(),
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
    border = _sum_by(image, graph.length, batch).clamp(min=1)
    scale = _sum_by(image, (step * graph.length / _STEP).round().long(), batch) * _STEP / border
    path = step.new_full((batch, regions, regions), torch.inf)
    tail, head = graph.tail % regions, graph.head % regions
    path[image, tail, head] = step
    path[image, head, tail] = step
    path.diagonal(dim1=1, dim2=2).zero_()
    for via in range(regions):
        path = torch.minimum(path, path[:, :, via, None] + path[:, None, via])
    return (-0.5 * (path / (0.4 * scale).clamp(min=_TINY)[:, None, None]).square()).exp()


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


def region_codes(graph: RegionGraph, batch: int) -> torch.Tensor:
    """One direction a region, float32 [R, C]; tilted away from the background by its contrast.

    Directions of an image are orthogonal before the tilt, and the tilt is small enough to leave
    two regions below ProMerge's affinity threshold.
    """
    index = torch.arange(len(graph.area), device=graph.area.device)
    first = torch.searchsorted(graph.image, torch.arange(batch, device=index.device))
    codes = F.one_hot(index - first[graph.image], _REGIONS).float()
    background = codes[graph.background][graph.image]
    contrast = graph.contrast.float() * _STEP / graph.area
    tilt = (0.4 * contrast / (contrast + 0.3)).masked_fill(graph.background, 0)
    return codes - tilt[:, None] * background
