"""The permutohedral lattice against Gaussian filtering by definition, and its own promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core.refinement.permutohedral import (
    PermutohedralLattice,
    _numbering,
    divide,
    pixel_positions,
    spatial_lattice,
)

CPU = torch.device("cpu")


def exact_filter(positions, values):
    """D^-1/2 K D^-1/2 values with the Gaussian kernel K, every pair of points."""
    p = positions.double()
    kernel = torch.exp(-torch.cdist(p, p).square() / 2)
    norm = kernel.sum(1, keepdim=True).rsqrt()
    return norm * (kernel @ (norm * values.double()))


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_filter_approximates_the_gaussian_kernel(dim):
    rng = np.random.default_rng(dim)
    positions = torch.from_numpy(rng.random((900, dim)) * 3).float()
    smooth = torch.sin(positions.sum(1, keepdim=True) + torch.arange(3))
    found = PermutohedralLattice(positions).filter(smooth)
    expected = exact_filter(positions, smooth)
    assert found.dtype == torch.float32
    correlation = torch.corrcoef(torch.stack([found.flatten().double(), expected.flatten()]))
    assert correlation[0, 1] > 0.97


def test_filter_is_linear_and_each_channel_is_its_own():
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(rng.random((500, 5)) * 8).float()
    values = torch.from_numpy(rng.standard_normal((500, 4))).float()
    lattice = PermutohedralLattice(positions)
    together = lattice.filter(values)
    for channel in range(4):
        alone = lattice.filter(values[:, channel : channel + 1])
        assert torch.allclose(together[:, channel : channel + 1], alone, atol=1e-6)
    mixed = lattice.filter(values @ values.new_tensor([[1.0], [-2.0], [0.5], [0.0]]))
    expected = together[:, :1] - 2 * together[:, 1:2] + 0.5 * together[:, 2:3]
    assert torch.allclose(mixed, expected, atol=1e-5)


def test_filter_is_normalised():
    lattice = PermutohedralLattice(pixel_positions(20, 30, 3.0, CPU))
    # D^-1/2 K D^-1/2 has the positive eigenvector D^1/2 with eigenvalue one: its largest.
    vector = torch.ones(600, 1)
    for _ in range(300):
        vector = lattice.filter(vector)
        vector /= vector.norm()
    assert torch.allclose(lattice.filter(vector), vector, rtol=1e-4)


def test_points_far_apart_do_not_mix():
    positions = torch.tensor([[0.0, 0.0], [100.0, 100.0], [-100.0, 50.0]])
    values = torch.eye(3)
    assert torch.allclose(PermutohedralLattice(positions).filter(values), values, atol=1e-5)


@pytest.mark.parametrize("distance", [1e2, 1e3])
def test_a_point_far_away_changes_nothing_for_the_others(distance):
    rng = np.random.default_rng(2)
    positions = torch.from_numpy(rng.random((400, 5)) * 6).float()
    values = torch.from_numpy(rng.standard_normal((400, 2))).float()
    expected = PermutohedralLattice(positions).filter(values)
    far = torch.cat([positions, torch.full((1, 5), distance)])
    found = PermutohedralLattice(far).filter(torch.cat([values, torch.ones(1, 2)]))
    assert torch.allclose(found[:400], expected, atol=1e-6)
    assert torch.allclose(found[400], torch.ones(2), atol=1e-5)


@pytest.mark.parametrize(
    "extents", [[0], [3, 0], [0, 6], [0, 8, 4], [5, 0, 10, 5], [6, 0, 6, 0, 12], [0, 0, 0, 6, 6]]
)
def test_every_vertex_and_neighbour_has_a_number_of_its_own(extents):
    dim = len(extents)
    strides, room, dtype = _numbering(extents, images=3)
    numbers = [
        torch.cartesian_prod(
            *(torch.arange((extent + 4 * dim - remainder) // (dim + 1) + 1) for extent in extents)
        ).reshape(-1, dim)
        @ torch.tensor(strides)
        * (dim + 1)
        + remainder * sum(strides)
        for remainder in range(dim + 1)
    ]
    # An image may use the numbers below those of its own origins, as the one before it does not.
    numbers = torch.cat([torch.cat(numbers) + room * image for image in range(3)])
    assert len(numbers.unique()) == len(numbers)
    assert 0 <= numbers.min() <= numbers.max() <= torch.iinfo(dtype).max


def test_images_in_one_lattice_are_filtered_as_each_alone():
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(3, 200, 5, generator=generator) * torch.tensor([1.0, 4.0, 9.0]).view(
        3, 1, 1
    )
    values = torch.rand(3, 200, 2, generator=generator)
    together = PermutohedralLattice(positions.flatten(0, 1), images=3).filter(values.flatten(0, 1))
    alone = [
        PermutohedralLattice(one).filter(own) for one, own in zip(positions, values, strict=True)
    ]
    assert torch.equal(together, torch.cat(alone))


def test_equal_points_get_equal_values():
    positions = torch.full((4, 5), 2.5)
    found = PermutohedralLattice(positions).filter(torch.tensor([[1.0], [0.0], [0.0], [3.0]]))
    assert torch.allclose(found, torch.ones(4, 1), atol=1e-5)


def test_order_of_the_points_does_not_matter():
    rng = np.random.default_rng(1)
    positions = torch.from_numpy(rng.random((300, 5)) * 10).float()
    values = torch.from_numpy(rng.standard_normal((300, 2))).float()
    order = torch.from_numpy(rng.permutation(300))
    found = PermutohedralLattice(positions[order]).filter(values[order])
    expected = PermutohedralLattice(positions).filter(values)[order]
    assert torch.allclose(found, expected, atol=1e-5)


def test_kernels_too_narrow_for_the_image_are_refused_in_words():
    positions = torch.tensor([[0.0] * 5, [1e6] * 5])
    with pytest.raises(ValueError, match="raise crf_bilateral_sxy or crf_bilateral_srgb"):
        PermutohedralLattice(positions)


def test_positions_run_row_by_row_with_x_first():
    positions = pixel_positions(2, 3, 2.0, CPU)
    assert positions.tolist() == [[0, 0], [0.5, 0], [1, 0], [0, 0.5], [0.5, 0.5], [1, 0.5]]


def test_lattice_over_positions_is_kept_for_its_size_and_width():
    assert spatial_lattice(8, 9, 3.0, CPU) is spatial_lattice(8, 9, 3.0, CPU)
    assert spatial_lattice(8, 9, 3.0, CPU) is not spatial_lattice(9, 8, 3.0, CPU)
    assert spatial_lattice(8, 9, 3.0, CPU) is not spatial_lattice(8, 9, 4.0, CPU)


@pytest.mark.parametrize("divisor", [3.0, 5.0, 50.0, 0.7])
def test_division_rounds_correctly(divisor):
    values = torch.arange(5000, dtype=torch.float32)[:, None]
    assert np.array_equal(divide(values, divisor), values.numpy() / np.float32(divisor))
