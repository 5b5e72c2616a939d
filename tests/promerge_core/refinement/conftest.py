"""A picture, masks and refiners that the tests of this folder share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from promerge_core.registry import REFINERS


@pytest.fixture(scope="package")
def photo():
    """A piecewise smooth picture of 64 x 64 pixels with some noise."""
    rng = np.random.default_rng(8)
    smooth = ndimage.gaussian_filter(rng.random((64, 64, 3)), (6, 6, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return (np.round(smooth * 6) * 40 + rng.integers(0, 9, smooth.shape)).clip(0, 255).astype("u1")


@pytest.fixture(scope="package")
def coarse():
    """11 random masks, more than one chunk of the solver."""
    noise = np.random.default_rng(9).random((11, 16, 16))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, 2, 2)) > 0.5)


@pytest.fixture(params=REFINERS)
def backend(request):
    """The name of each refiner."""
    if request.param == "pydensecrf":
        pytest.importorskip("pydensecrf", reason="the extra 'pydensecrf' is not installed")
    return request.param
