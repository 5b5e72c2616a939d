"""The plain ground of pictures of discs, dark or light, small or large, in uneven light."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core import ProMerge, ProMergeConfig, load_backbone
from promerge_core.stages.ground import colour_grid, find_grounds, fit_ground

LIGHT, DARK = (225, 225, 220), (25, 22, 30)


def slide(ground, disc, radius: int, shade: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of discs that touch in pairs, and which pixels they hold: uint8 [480, 480, 3], bool."""
    y, x = np.mgrid[:480, :480]
    step = 4 * radius
    beside = [radius * 0.95, -radius * 0.95]
    left = np.minimum.reduce([np.abs((x % step) - step / 2 + shift) for shift in beside])
    inside = left**2 + ((y % step) - step / 2) ** 2 <= radius**2
    image = np.where(inside[..., None], disc, ground).astype(float)
    image *= 1 - shade * (x / 480)[..., None]
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8), inside


@pytest.mark.parametrize("shade", [0.0, 0.2])
@pytest.mark.parametrize(("ground", "disc"), [(LIGHT, (170, 110, 130)), (DARK, (90, 130, 200))])
def test_the_ground_is_what_lies_between_the_discs(ground, disc, shade):
    image, inside = slide(ground, disc, 30, shade)
    colours = colour_grid(torch.from_numpy(image), 60, 60)
    holds = fit_ground(colours).holds(colours)
    share = inside.reshape(60, 8, 60, 8).mean((1, 3))
    assert holds[share == 0].mean() > 0.99
    assert holds[share == 1].mean() < 0.01


def test_the_ground_is_looked_for_only_where_the_config_says_so():
    image = torch.from_numpy(slide(LIGHT, DARK, 30)[0])[None]
    features = torch.zeros(1, 4, 60, 60)
    assert find_grounds(image, features, ProMergeConfig()) is None
    grounds = find_grounds(image, features, ProMergeConfig(background="plain"))
    assert (grounds.shape, grounds.dtype) == ((1, 60, 60), torch.bool)


@pytest.mark.parametrize(("ground", "disc"), [(LIGHT, (170, 110, 130)), (DARK, (90, 130, 200))])
@pytest.mark.parametrize("radius", [15, 30])
def test_the_preset_finds_each_disc_of_a_slide_of_touching_discs(ground, disc, radius):
    image, _ = slide(ground, disc, radius)
    generator = ProMerge(load_backbone("embedded"), ProMergeConfig.from_preset("microscopy"))
    (masks,) = generator.generate([image])
    assert len(masks) == 2 * (480 // (4 * radius)) ** 2
    sides = np.array([mask.bbox[2:] for mask in masks])
    assert np.abs(sides - 2 * radius).max() <= 0.2 * radius + 2


def test_a_plain_picture_has_no_masks():
    generator = ProMerge(load_backbone("embedded"), ProMergeConfig.from_preset("microscopy"))
    (masks,) = generator.generate([np.full((240, 320, 3), 200, np.uint8)])
    assert len(masks) == 0
