"""Colours that vary a little."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fiftyone_promerge.training.data.colours import jitter


@pytest.fixture
def image():
    return torch.from_numpy(np.random.default_rng(0).integers(60, 190, (3, 8, 9), np.uint8))


def test_without_an_amount_nothing_changes(image):
    assert torch.equal(jitter(image, 0.0, np.random.default_rng(0)), image)


def test_colours_change_a_little_and_each_time_differently(image):
    rng = np.random.default_rng(0)
    changed = [jitter(image, 0.1, rng) for _ in range(20)]
    assert all(one.dtype == torch.uint8 and one.shape == image.shape for one in changed)
    differences = [(one.float() - image.float()).abs().mean().item() for one in changed]
    assert min(differences) > 0 and max(differences) < 30
    assert len({one.float().mean().item() for one in changed}) > 10


def test_what_would_be_brighter_than_white_is_white():
    white = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    rng = np.random.default_rng(0)
    assert all(jitter(white, 0.5, rng).min() > 100 for _ in range(20))
