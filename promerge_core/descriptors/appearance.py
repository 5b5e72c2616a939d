"""A mask's vector from what is seen inside it: colour, texture, size and shape.

For the embedded backbone, whose region codes mean nothing across images. Eleven values, none of
which changes when the image is turned or mirrored:

- Mean and spread of CIE L, a and b over the mask. A unit is 10, a clear difference in colour.
- Texture: the mean strength of the gradient of L. A unit is a factor of 2.
- Size: the area's part of the image. A unit is a factor of 4, twice the side.
- Shape: the part of its convex hull that the mask fills, and its area over that of a circle of
  the same perimeter, both in [0, 1]; and its elongation, the ratio of the axes of the ellipse with
  the same moments. A unit is 0.25, and a factor of 2.

The units are constants, so that vectors of new images can be compared with old ones. Where groups
are found or labels learned, values are put on one scale by the masks at hand, see
`promerge_core.descriptors.scaling`; so the units do not matter there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from promerge_core.colour import rgb_to_lab

from .features import cover

_COLOUR_UNIT, _SHAPE_UNIT = 10.0, 0.25
# In units of L a pixel: what cameras and JPEG leave on a plain surface.
_NOISE = 0.1
DIM = 11


def describe_appearance(
    backbone: Any,
    pixels: Sequence[np.ndarray],
    masks: Sequence[Sequence[np.ndarray]],
    features: torch.Tensor | None = None,
) -> list[np.ndarray]:
    """Appearance of masks; see `promerge_core.descriptors.describe.describe_batch`.

    Args:
        backbone: not used.
        pixels: uint8 arrays [S, S, 3].
        masks: for each image its masks, bool arrays [H, W], none empty.
        features: not used.

    Returns:
        for each image float32 [N, 11].
    """
    return [_describe(image, own) for image, own in zip(pixels, masks, strict=True)]


def _describe(pixels: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    if not len(masks):
        return np.zeros((0, DIM), np.float32)
    height, width = pixels.shape[:2]
    rgb = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    lab = 100 * rgb_to_lab(rgb)[0].numpy()
    # The weights of Scharr's filter add up to 32 a pixel.
    strength = np.hypot(*(cv2.Scharr(lab[0], cv2.CV_32F, x, 1 - x) / 32 for x in (0, 1)))
    rows = []
    for mask in masks:
        seen = cover(mask, width, height) > 0
        inside = lab[:, seen] / _COLOUR_UNIT
        colour = [inside.mean(axis=1), inside.std(axis=1)]
        texture = np.log2(strength[seen].mean() + _NOISE)
        size = 0.5 * np.log2(mask.mean())
        rows.append(np.concatenate([*colour, [texture, size], _shape(mask)]))
    return np.array(rows, np.float32)


def _shape(mask: np.ndarray) -> list[float]:
    """Solidity, circularity and elongation, in their units."""
    from skimage.measure import regionprops

    (region,) = regionprops(mask.astype(np.uint8))
    # Of a mask of a few pixels the perimeter is a guess, and a circle can come out above 1.
    circularity = 4 * np.pi * region.area / max(region.perimeter_crofton, 1) ** 2
    # The moments are those of the pixels' centres; a pixel has its own as well.
    longer, shorter = np.add(region.inertia_tensor_eigvals, 1 / 12)
    elongation = 0.5 * np.log2(longer / shorter)
    return [region.solidity / _SHAPE_UNIT, min(circularity, 1) / _SHAPE_UNIT, elongation]
