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


class PermutohedralLattice:
    """Gaussian filter over fixed positions, symmetrically normalised.

    Args:
        positions: float32 tensor [N, d]; each dimension already divided by its standard deviation.
        images: the positions are those of so many images, one after the other, all of one size;
            images do not mix.

    Raises:
        ValueError: the positions spread over more lattice cells than 62 bits can number.
    """

    def __init__(self, positions: torch.Tensor, images: int = 1) -> None:
        keys, weights, strides = _embed(positions, images)
        points, dim = positions.shape
        sorted_keys, order = keys.flatten().sort(stable=True)
        vertices, number, counts = sorted_keys.unique_consecutive(
            return_inverse=True, return_counts=True
        )

        # One splat group and one blur row more than there are vertices: empty, so zero. It stands
        # for every neighbour that is no vertex.
        self._splat_points = (order // (dim + 1)).int()
        self._splat_offsets = F.pad(counts.cumsum(0), (1, 0)).int()
        self._blur = _blur_indices(vertices, strides)
        self._blur_offsets = torch.arange(len(vertices) + 1, device=keys.device).int() * 3
        self._blur_weights = positions.new_tensor([1.0, 0.5, 0.5]).repeat(len(vertices) + 1)
        self._slice_vertices = torch.empty_like(number, dtype=torch.int32)
        self._slice_vertices.scatter_(0, order, number.int())
        self._slice_offsets = torch.arange(points, device=keys.device).int() * (dim + 1)

        point_weights = weights / (1 + 2.0**-dim)
        self._splat_weights = weights.flatten().index_select(0, order)
        self._slice_weights = point_weights.flatten()
        norm = (self.filter(positions.new_ones(points, 1)) + 1e-20).rsqrt()
        self._splat_weights *= norm[:, 0].index_select(0, self._splat_points)
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


def _embed(positions: torch.Tensor, images: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """The simplex around each position.

    Returns:
        keys: int32 or int64 tensor [N, d+1], the vertices' numbers.
        weights: float32 tensor [N, d+1], barycentric.
        strides: what a step of one along each of the d coordinates adds to a key.
    """
    points, dim = positions.shape
    base, place, offsets = _simplices(_elevate(positions))
    low = base[:dim].amin(1)
    strides, room, dtype = _numbering((base[:dim].amax(1) - low).tolist(), images)
    climb = torch.tensor([sum(strides) - (dim + 1) * stride for stride in [*strides, 0]])
    climb = climb.to(device=positions.device, dtype=dtype)

    weights = positions.new_empty(points, dim + 1)
    weights[:, 1:] = (offsets[1:] - offsets[:-1]).T
    weights[:, 0] = offsets[0] + (1 - offsets[dim])

    # Vertex r + 1 is vertex r, one further along all coordinates but d + 1 back along the
    # coordinate in place r.
    steps = torch.empty_like(place, dtype=dtype).scatter_(0, place, climb[:, None].expand_as(place))
    keys = torch.empty_like(weights, dtype=dtype)
    key = torch.arange(images, device=positions.device, dtype=dtype).mul_(room)
    key = key.repeat_interleave(points // images)
    for coordinate, least, stride in zip(base[:dim], low, strides, strict=True):
        key.add_((coordinate - least).to(dtype), alpha=stride)
    keys[:, 0] = key
    for r in range(dim):
        keys[:, r + 1] = key.add_(steps[r])
    return keys, weights, strides


def _simplices(elevated: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The origins of the simplices around points, and where in them the points lie.

    Args:
        elevated: float32 tensor [d+1, N].

    Returns:
        base: float32 tensor [d+1, N], the origins.
        place: int64 tensor [d+1, N], each coordinate's place when sorted, largest offset first.
        offsets: float32 tensor [d+1, N] in that order, divided by d + 1.
    """
    dim = len(elevated) - 1
    inverse = elevated.new_tensor(1.0) / elevated.new_tensor(dim + 1.0)
    base = (elevated * inverse).round_()
    excess = base.sum(0)
    base *= dim + 1
    offsets = elevated - base
    rank = _rank(offsets, excess)
    wrap = (rank < 0).view(torch.int8) - (rank > dim).view(torch.int8)
    base.add_(wrap, alpha=dim + 1)
    place = (dim - rank.add_(wrap, alpha=dim + 1)).long()
    torch.sub(elevated, base, out=offsets).mul_(inverse)
    return base, place, torch.empty_like(offsets).scatter_(0, place, offsets)


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


def _numbering(extents: list[float], images: int = 1) -> tuple[list[int], int, torch.dtype]:
    """Strides that give every vertex, and its neighbours, a number of their own.

    All coordinates of a vertex leave the same remainder when divided by d + 1, so a mixed radix
    of the quotients is enough where the sum of the strides tells the remainders apart: keys are
    (d + 1)^(d - 1) times smaller than in a mixed radix of the coordinates.

    Args:
        extents: of the d coordinates of the simplices' origins, largest less smallest.
        images: each gets numbers of its own.

    Returns:
        the d strides, how many numbers an image gets, and the integer type that is wide enough for
        every number.

    Raises:
        ValueError: 62 bits are too few.
    """
    dim = len(extents)
    # A vertex is up to d away from the origin of its simplex, its neighbours d more.
    spans = [int(extent) + 4 * dim for extent in extents]
    counts = [span // (dim + 1) + 1 for span in spans]
    strides = [math.prod(counts[j + 1 :]) for j in range(dim)]
    while math.gcd(sum(strides), dim + 1) > 1:
        strides[0] += 1
    room = sum(stride * span for stride, span in zip(strides, spans, strict=True)) + 1
    if images * room > 2**62:
        raise ValueError(
            "the dense CRF's kernels are too narrow for this image: the lattice would have "
            f"{room:.0e} cells; raise crf_bilateral_sxy or crf_bilateral_srgb"
        )
    return strides, room, torch.int32 if images * room <= 2**31 else torch.int64


def _blur_indices(vertices: torch.Tensor, strides: list[int]) -> torch.Tensor:
    """For each of the d+1 lattice axes each vertex and its two neighbours, int32 [d+1, 3 (V + 1)].

    A neighbour that is no vertex has index V, where the value is zero.
    """
    count, axes = len(vertices), len(strides) + 1
    own = torch.arange(count, device=vertices.device)
    steps = vertices.new_tensor([axes * stride for stride in [*strides, 0]]) - sum(strides)
    after = vertices + steps[:, None]
    position = torch.searchsorted(vertices, after).clamp_(max=count - 1)
    is_vertex = vertices.index_select(0, position.flatten()).view_as(after) == after
    forward = torch.where(is_vertex, position, count)
    # Column V takes what belongs to no vertex.
    backward = forward.new_full((axes, count + 1), count)
    backward.scatter_(1, forward, own.expand_as(forward))

    indices = torch.full((axes, count + 1, 3), count, device=vertices.device, dtype=torch.int32)
    indices[:, :count, 0] = own
    indices[:, :count, 1] = forward
    indices[:, :count, 2] = backward[:, :count]
    return indices.flatten(1)


@functools.lru_cache(maxsize=4)
def spatial_lattice(
    height: int, width: int, sigma: float, device: torch.device
) -> PermutohedralLattice:
    """Lattice over the pixels' x and y alone; the last four are kept.

    Args:
        height: rows of pixels.
        width: columns of pixels.
        sigma: standard deviation of the Gaussian in pixels.
        device: where it filters.

    Returns:
        the lattice over all pixels, row by row.
    """
    return PermutohedralLattice(pixel_positions(height, width, sigma, device))


def pixel_positions(height: int, width: int, sigma: float, device: torch.device) -> torch.Tensor:
    """Positions of all pixels, in standard deviations.

    Args:
        height: rows of pixels.
        width: columns of pixels.
        sigma: standard deviation of the Gaussian in pixels.
        device: where the result is.

    Returns:
        float32 tensor [height * width, 2]: (x, y) / sigma of every pixel, row by row.
    """
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return divide(torch.stack([x.flatten(), y.flatten()], dim=1), sigma)


def divide(values: torch.Tensor, divisor: float) -> torch.Tensor:
    """Correctly rounded division.

    On CUDA, dividing by a Python number is turned into a multiplication by its reciprocal, which
    rounds differently; dividing by a tensor is not.

    Args:
        values: float32 tensor [N, d].
        divisor: what to divide by.

    Returns:
        float32 tensor [N, d].
    """
    return values / torch.full_like(values[:1, :1], divisor)
