"""Features and masks that the tests of the stages share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from promerge_core import ProMergeConfig
from promerge_core.stages.prompting import unit_features


@pytest.fixture(scope="session")
def noisy_features():
    """Draws smooth random features, whose proposals have ragged, nested and overlapping shapes."""

    def draw(seed, height=20, width=24, channels=16):
        noise = np.random.default_rng(seed).standard_normal((channels, height, width))
        smooth = ndimage.gaussian_filter(noise, (0, 2, 2)) * 4
        return torch.from_numpy((smooth + 0.3 * noise).astype(np.float32))

    return draw


def random_masks(rng, count, height, width):
    """Rectangles of many sizes, some with holes, some equal: ties, nesting and chains."""
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        y, x = rng.integers(height), rng.integers(width)
        mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = True
        mask[rng.random(mask.shape) < rng.choice([0, 0.3])] = False
        mask[y, x] = True
    return masks[rng.integers(count, size=count)]


@pytest.fixture(params=range(40))
def drawn(request):
    """Random masks, background, unit features and thresholds."""
    rng = np.random.default_rng(request.param)
    height, width = rng.integers(5, 20, 2)
    masks = random_masks(rng, int(rng.integers(1, 60)), height, width)
    features = torch.from_numpy(rng.standard_normal((6, height, width)) + rng.choice([0, 0.5]))
    background = rng.random((height, width)) < rng.choice([0.2, 0.6, 0.9])
    config = ProMergeConfig(
        background_overlap=float(rng.choice([0.5, 0.8, 1.0])),
        background_similarity=float(rng.choice([0.1, 0.3, 1.0])),
        merge_overlap=float(rng.choice([0.25, 0.5, 0.75])),
        merge_overlap_similar=float(rng.choice([0.0, 0.1, 0.25])),
        merge_similarity=float(rng.choice([0.1, 0.3])),
    )
    unit = unit_features(features)
    return torch.from_numpy(masks), torch.from_numpy(background), unit, config


@pytest.fixture
def halves():
    """Two overlapping masks of four patches whose mean features have the exact product 1/4."""
    masks = torch.zeros(2, 1, 7, dtype=torch.bool)
    masks[0, 0, :4] = masks[1, 0, 3:] = True
    return masks, torch.tensor([[0.5, 0.0]]).repeat(7, 1)
