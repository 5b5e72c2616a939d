"""Which regions of drawn scenes are background."""

from __future__ import annotations

import pytest
import torch

from promerge_core.backbones.region_background import split_background
from promerge_core.backbones.regions import RegionGraph, join_regions, patch_graph


def regions_of(labels: torch.Tensor) -> RegionGraph:
    """Regions as drawn, [B, h, w]: those of one image share a number, which is their colour."""
    graph = patch_graph(labels[:, None].float())
    numbers = labels.flatten(1) + 1000 * torch.arange(len(labels))[:, None]
    first = {}
    parent = [first.setdefault(int(number), index) for index, number in enumerate(numbers.view(-1))]
    return join_regions(graph, torch.tensor(parent))


def background_of(labels: torch.Tensor) -> torch.Tensor:
    """Patches that are background, bool [B, h, w]."""
    graph = split_background(regions_of(labels), *labels.shape)
    return graph.background[graph.label].view(labels.shape)


@pytest.fixture
def scene() -> torch.Tensor:
    """A box in a plain, 12 x 16 patches."""
    labels = torch.zeros(1, 12, 16, dtype=torch.int64)
    labels[:, 4:9, 5:11] = 3
    return labels


def test_what_fills_the_borders_is_background_and_a_box_inside_is_not(scene):
    assert torch.equal(background_of(scene), scene == 0)


def test_a_thing_that_a_border_cuts_is_none_where_little_of_it_touches(scene):
    scene[:, 0:9, 7:9] = 3
    assert torch.equal(background_of(scene), scene == 0)


def test_parts_that_share_the_borders_are_all_background():
    labels = torch.zeros(1, 12, 16, dtype=torch.int64)
    labels[:, :6] = 1
    labels[:, 4:8, 6:10] = 5
    assert torch.equal(background_of(labels), labels != 5)


def test_the_background_of_each_image_becomes_one_region(scene):
    halves = scene.clone()
    halves[:, 6:][halves[:, 6:] == 0] = 1
    # As many regions in each: the box of the first image has two parts.
    parted = scene.clone()
    parted[:, 4:9, 5:8] = 4
    both = torch.cat([parted, halves])
    graph = split_background(regions_of(both), *both.shape)
    assert torch.bincount(graph.image[graph.background]).tolist() == [1, 1]
    assert torch.equal(graph.background[graph.label].view(both.shape), both < 3)
    assert torch.bincount(graph.image).tolist() == [3, 2]


def test_contrast_grows_with_the_distance_to_the_background(scene):
    scene[scene > 0] = 6
    scene[:, 4:9, 8:11] = 7
    graph = split_background(regions_of(scene), *scene.shape)
    contrast = graph.contrast / graph.area
    colour = graph.means()[:, 0]
    assert contrast[graph.background].tolist() == [0]
    assert torch.allclose(contrast / contrast.max(), colour / colour.max(), atol=1e-3)


def test_a_plain_image_is_all_background():
    assert background_of(torch.zeros(2, 5, 7, dtype=torch.int64)).all()
