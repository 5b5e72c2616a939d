"""High-dimensional Gaussian filtering on the permutohedral lattice (Adams, Baek and Davis, 2010).

All values of one image are filtered together: the lattice depends on the positions alone, so it
is built once and each mask is one more channel. The arithmetic follows the paper's float32 order
of operations step by step, because a pixel whose position rounds to another simplex would get
other weights: filtering here equals the widespread dense CRF implementations bit for bit in the
lattice, and up to the order of summation in the values.
"""

from __future__ import annotations

import functools
import itertools
import math

import torch
import torch.nn.functional as F

_MARGIN = 2


class PermutohedralLattice:
    """Gaussian filter over fixed positions, symmetrically normalised.

    Args:
        positions: float32 tensor [N, d]; each dimension already divided by its standard deviation.

    Raises:
        ValueError: the positions spread over more lattice cells than 63 bits can number.
    """

    def __init__(self, positions: torch.Tensor) -> None:
        keys, weights, strides = _embed(positions)
        points, dim = positions.shape
        sorted_keys, order = keys.flatten().sort(stable=True)
        is_first = torch.ones_like(sorted_keys, dtype=torch.bool)
        is_first[1:] = sorted_keys[1:] != sorted_keys[:-1]
        first = is_first.nonzero()[:, 0]
        vertices = sorted_keys[first]
        vertex_sorted = is_first.cumsum(0, dtype=torch.int32) - 1
        vertex_of = torch.empty_like(vertex_sorted)
        vertex_of[order] = vertex_sorted

        # One splat group and one blur row more than there are vertices: empty, so zero. It stands
        # for every neighbour that is no vertex.
        self._splat_points = (order // (dim + 1)).int()
        self._splat_offsets = F.pad(first, (0, 1), value=len(order)).int()
        self._blur = _blur_indices(vertices, strides)
        self._blur_offsets = torch.arange(len(vertices) + 1, device=keys.device).int() * 3
        self._blur_weights = positions.new_tensor([1.0, 0.5, 0.5]).repeat(len(vertices) + 1)
        self._slice_vertices = vertex_of
        self._slice_offsets = torch.arange(points, device=keys.device).int() * (dim + 1)

        point_weights = weights / (1 + 2.0**-dim)
        self._splat_weights = weights.flatten()[order]
        self._slice_weights = point_weights.flatten()
        norm = (self.filter(positions.new_ones(points, 1)) + 1e-20).rsqrt()
        self._splat_weights *= norm[:, 0][self._splat_points]
        self._slice_weights = (point_weights * norm).flatten()

    def filter(self, values: torch.Tensor) -> torch.Tensor:
        """Filters channels over the positions.

        Args:
            values: float32 tensor [N, M].

        Returns:
            float32 tensor [N, M]: D^-1/2 K D^-1/2 values, with D the row sums of the kernel K.
        """
        cells = _weighted_sums(values, self._splat_points, self._splat_offsets, self._splat_weights)
        for neighbours in self._blur:
            cells = _weighted_sums(cells, neighbours, self._blur_offsets, self._blur_weights)
        return _weighted_sums(cells, self._slice_vertices, self._slice_offsets, self._slice_weights)


def _weighted_sums(
    rows: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sums of weighted rows: group g takes those at indices[offsets[g]:offsets[g + 1]]."""
    return F.embedding_bag(indices, rows, offsets, mode="sum", per_sample_weights=weights)


def _embed(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """The simplex around each position.

    Each vertex key is one integer: a mixed-radix number of its first d coordinates, wide enough
    that a step to a neighbour never carries.

    Returns:
        keys: int64 tensor [N, d+1].
        weights: float32 tensor [N, d+1], barycentric.
        strides: what a step of one along each of the d coordinates adds to a key.
    """
    dim = positions.shape[1]
    elevated = _elevate(positions)
    inverse = positions.new_tensor(1.0) / positions.new_tensor(dim + 1.0)
    nearest = (elevated * inverse).round_()
    base = nearest * (dim + 1)
    rank = _rank(elevated - base, nearest.sum(0))
    wrap = (rank < 0).float() - (rank > dim).float()
    base += wrap * (dim + 1)
    rank = (rank + wrap * (dim + 1)).long()

    # Ranks are a permutation, so "add the offset to weight d - rank, subtract it from the next"
    # is a difference of neighbours among the offsets sorted by rank.
    offsets = torch.empty_like(elevated).scatter_(0, rank, (elevated - base) * inverse)
    weights = torch.empty_like(offsets)
    weights[1:] = (offsets[:-1] - offsets[1:]).flip(0)
    weights[0] = offsets[dim] + (1 - offsets[0])

    strides = _strides(base[:dim])
    step = torch.tensor([*strides, 0], device=positions.device)
    origin = (base[:dim].long() * step[:dim, None]).sum(0)
    # Vertex r lies r along all coordinates, less d + 1 along those whose rank exceeds d - r.
    climbed = torch.empty_like(rank).scatter_(0, rank, step[:, None].expand_as(rank))
    climbed = climbed.flip(0).cumsum(0).roll(1, 0)
    climbed[0] = 0
    along = torch.arange(dim + 1, device=positions.device)[:, None] * sum(strides)
    keys = origin + along - (dim + 1) * climbed
    return keys.T.contiguous(), weights.T.contiguous(), strides


def _elevate(positions: torch.Tensor) -> torch.Tensor:
    """Positions on the hyperplane of d+1 coordinates that sum to zero, float32 [d+1, N]."""
    dim = positions.shape[1]
    spread = torch.tensor(math.sqrt(2.0 / 3.0) * (dim + 1), dtype=torch.float32)
    elevated = positions.new_empty(dim + 1, len(positions))
    total = positions.new_zeros(len(positions))
    for j in range(dim, 0, -1):
        scale = torch.tensor(1.0 / math.sqrt(j * (j + 1)), dtype=torch.float32) * spread
        scaled = positions[:, j - 1] * scale.to(positions.device)
        torch.sub(total, scaled * j, out=elevated[j])
        total += scaled
    elevated[0] = total
    return elevated


def _rank(difference: torch.Tensor, excess: torch.Tensor) -> torch.Tensor:
    """Rank of each coordinate, largest first, shifted by the excess: int8 [d+1, N].

    Of two equal coordinates the later one has the higher rank.
    """
    rank = excess.to(torch.int8).repeat(len(difference), 1)
    for i, j in itertools.combinations(range(len(difference)), 2):
        below = difference[i] < difference[j]
        rank[i] += below.view(torch.int8)
        rank[j] += (~below).view(torch.int8)
    return rank


def _strides(base: torch.Tensor) -> list[int]:
    """Strides of a mixed radix that holds every vertex around `base`, and its neighbours."""
    reach = len(base) + _MARGIN
    low, high = base.amin(1), base.amax(1)
    extents = [int(extent) + 2 * reach + 1 for extent in (high - low).tolist()]
    if math.prod(extents) >= 2**62:
        raise ValueError(
            "the dense CRF's kernels are too narrow for this image: the lattice would have "
            f"{math.prod(extents):.0e} cells; raise crf_bilateral_sxy or crf_bilateral_srgb"
        )
    return [math.prod(extents[i + 1 :]) for i in range(len(extents))]


def _blur_indices(vertices: torch.Tensor, strides: list[int]) -> list[torch.Tensor]:
    """For each of the d+1 lattice axes the vertex and its two neighbours, int32 [3 (V + 1)].

    A neighbour that is no vertex has index V, where the value is zero.
    """
    count = len(vertices)
    own = torch.arange(count, device=vertices.device, dtype=torch.int32)
    dim = len(strides)
    indices = []
    for axis in range(dim + 1):
        step = (dim + 1) * strides[axis] - sum(strides) if axis < dim else -sum(strides)
        after = vertices + step
        position = torch.searchsorted(vertices, after).clamp_(max=count - 1)
        forward = torch.where(vertices[position] == after, position, count)
        # Row `count` takes what belongs to no vertex, and is the empty one in the end.
        backward = own.new_full((count + 1,), count).scatter_(0, forward, own)
        backward[count] = count
        rows = torch.stack([own, forward.int(), backward[:count]], dim=1)
        indices.append(F.pad(rows, (0, 0, 0, 1), value=count).flatten())
    return indices


@functools.lru_cache(maxsize=4)
def spatial_lattice(
    height: int, width: int, sigma: float, device: torch.device
) -> PermutohedralLattice:
    """Lattice over the pixels' x and y alone; it depends on the size only, so it is kept."""
    return PermutohedralLattice(pixel_positions(height, width, sigma, device))


def pixel_positions(height: int, width: int, sigma: float, device: torch.device) -> torch.Tensor:
    """(x, y) / sigma of every pixel, row by row, float32 [height * width, 2]."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return divide(torch.stack([x.flatten(), y.flatten()], dim=1), sigma)


def divide(values: torch.Tensor, divisor: float) -> torch.Tensor:
    """Correctly rounded division.

    On CUDA, dividing by a Python number is turned into a multiplication by its reciprocal, which
    rounds differently; dividing by a tensor is not.
    """
    return values / torch.full_like(values[:1, :1], divisor)
