"""The plain ground that many small objects lie on: the background of a slide, a sea, a tray."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from skimage.filters import threshold_otsu

from promerge_core.colour import rgb_to_lab
from promerge_core.config import ProMergeConfig
from promerge_core.machine.processors import each_image

# A difference in hue counts more than one in lightness, which shadows make too.
_CHROMA = 1.5
_ROUNDS = 6
_SAMPLES = 1024
# Objects whiter or darker than most, as the nuclei among cells, must not raise the threshold.
_TYPICAL = 90
_STRICTNESS = 0.7


@dataclasses.dataclass(frozen=True)
class Ground:
    """What the plain ground of an image looks like.

    Attributes:
        fit: float64 [6, 3], its colour as a polynomial of degree two over the image.
        threshold: what is at least this far from it is no ground.
    """

    fit: np.ndarray
    threshold: float

    def holds(self, colours: np.ndarray) -> np.ndarray:
        """Which places look like the ground: colours [h, w, 3] of `colour_grid` -> bool [h, w]."""
        height, width, _ = colours.shape
        expected = (_surfaces(height, width) @ self.fit).reshape(colours.shape)
        return np.linalg.norm(colours - expected, axis=2) < self.threshold


def find_grounds(
    pixels: torch.Tensor, features: torch.Tensor, config: ProMergeConfig
) -> torch.Tensor | None:
    """The plain ground of each image of a batch where the config asks for it.

    Args:
        pixels: uint8 tensor [B, S, S, 3].
        features: float tensor [B, C, h, w] of the same images; gives the grid and the device.
        config: uses `background`.

    Returns:
        bool tensor [B, h, w]; None where the background is left to the vote.
    """
    if config.background == "borders":
        return None
    height, width = features.shape[2:]

    def find(image: torch.Tensor) -> np.ndarray:
        colours = colour_grid(image, height, width)
        return fit_ground(colours).holds(colours)

    found = each_image(find, pixels) if pixels.device.type == "cpu" else [*map(find, pixels)]
    return torch.from_numpy(np.stack(found)).to(features.device)


def fit_ground(colours: np.ndarray) -> Ground:
    """Finds the plain ground of an image.

    It begins as the patches around the image's densest colour, and is then what lies close to a
    smooth surface through itself, which follows uneven light. How close is decided by Otsu's
    threshold between the two kinds of distance there are, of the ground and of objects.

    Args:
        colours: float array [h, w, 3], what `colour_grid` gives.

    Returns:
        the `Ground`.
    """
    surfaces = _surfaces(*colours.shape[:2])
    colours = colours.reshape(-1, 3)
    apart = np.linalg.norm(colours - _densest(colours), axis=1)
    for _ in range(_ROUNDS):
        near = apart <= _threshold(apart)
        fit = np.linalg.lstsq(surfaces[near], colours[near], rcond=None)[0]
        apart = np.linalg.norm(colours - surfaces @ fit, axis=1)
    return Ground(fit, _threshold(apart))


def colour_grid(pixels: torch.Tensor, height: int, width: int) -> np.ndarray:
    """Mean colour of each cell of a grid over an image.

    Args:
        pixels: uint8 tensor [S, S, 3].
        height: rows of the grid.
        width: columns of the grid.

    Returns:
        float64 array [height, width, 3]: CIE Lab in units of 100, a and b 1.5 times.
    """
    lab = rgb_to_lab(pixels.permute(2, 0, 1)[None].float() / 255)
    grid = F.adaptive_avg_pool2d(lab, (height, width))[0].double()
    grid[1:] *= _CHROMA
    return grid.permute(1, 2, 0).cpu().numpy()


def _densest(colours: np.ndarray) -> np.ndarray:
    """The colour with the most others close to it, [3]."""
    sample = colours[:: max(1, len(colours) // _SAMPLES)]
    apart = np.linalg.norm(sample[:, None] - sample[None], axis=2)
    return sample[np.sort(apart, axis=1)[:, len(sample) // 10].argmin()]


def _surfaces(height: int, width: int) -> np.ndarray:
    """Polynomials of degree two over the grid, [height * width, 6]."""
    y, x = (grid.ravel() for grid in np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j])
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _threshold(apart: np.ndarray) -> float:
    """Between the distances of the ground and those of objects."""
    typical = np.minimum(apart, np.percentile(apart, _TYPICAL))
    return _STRICTNESS * float(threshold_otsu(typical))
