"""A mask's vector from what is seen inside it: colour, texture, size and shape.

For the embedded backbone, whose region codes mean nothing across images. Every value has a scale of
its own that no data set enters, so that vectors of new images can be compared with old ones:

- Colour, 6 values: mean and spread of lightness, and of a and b with chroma compressed as in DIN99
  (DIN 6176), where equal distances are about equally visible. A unit is 10, a difference that
  everybody names as another colour.
- Size, 1 value: the area's part of the image. A unit is a factor of 4, twice the side.
- Texture, 3 values: spread of lightness in three bands of detail, about 1, 2 and 4 pixels wide, a
  noise floor of 0.3 of 100 being added. A unit is a factor of 256.
- Shape, 3 values: the aspect of the box, lying or standing (a unit is 1 : 256), the part of the box
  that is filled, and the compactness 4 pi area / perimeter^2 (a unit is twice its range).

Texture and shape count little beside colour and size: the outlines of masks that are made without
labels are rough, and a piece of background inside an outline changes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from promerge_core.colour import rgb_to_lab

from .features import cover

_COLOUR_UNIT, _NOISE = 10.0, 0.3
_BANDS = (1, 2, 4)
_ROUGH = 0.125
DIM = 13


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
        for each image float32 [N, 13].
    """
    return [_describe(image, own) for image, own in zip(pixels, masks, strict=True)]


def _describe(pixels: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    if not len(masks):
        return np.zeros((0, DIM), np.float32)
    height, width = pixels.shape[:2]
    seen = np.concatenate([_colours(pixels), _bands(pixels)])
    rows = []
    for mask in masks:
        inside = seen[:, cover(mask, width, height) > 0]
        # The outermost pixels show the mask's border, not its texture.
        core = cv2.erode(cover(mask, width, height), np.ones((5, 5))) > 0
        texture = (seen[3:, core] if core.sum() > 8 else inside[3:]).std(axis=1)
        colour = np.concatenate([inside[:3].mean(axis=1), inside[:3].std(axis=1)]) / _COLOUR_UNIT
        rows.append(np.concatenate([colour, _ROUGH * np.log2(texture + _NOISE), _form(mask)]))
    return np.array(rows, np.float32)


def _colours(pixels: np.ndarray) -> np.ndarray:
    """Lightness in [0, 100], and a and b with compressed chroma, float32 [3, S, S]."""
    rgb = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    light, a, b = 100 * rgb_to_lab(rgb)[0].numpy()
    chroma = np.maximum(np.hypot(a, b), 1e-6)
    compression = np.log1p(0.045 * chroma) / (0.045 * chroma)
    return np.stack([light, a * compression, b * compression])


def _bands(pixels: np.ndarray) -> np.ndarray:
    """Detail of lightness in bands of growing width, float32 [3, S, S]."""
    light = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) * (100 / 255)
    blurred = {sigma: cv2.GaussianBlur(light, (0, 0), sigma) for sigma in (*_BANDS, 8)}
    return np.stack([blurred[sigma] - blurred[2 * sigma] for sigma in _BANDS])


def _form(mask: np.ndarray) -> np.ndarray:
    """Size and shape at the image's own size, float64 [4]."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    inside = mask[y : y + height, x : x + width].astype(np.uint8)
    area = int(inside.sum())
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # An outline runs through the centres of its pixels: the edge is half a pixel further out.
    perimeter = sum(cv2.arcLength(one, True) + np.pi for one in outlines)
    return np.array(
        [
            0.5 * np.log2(area / mask.size),
            _ROUGH * abs(np.log2(width / height)),
            4 * _ROUGH * area / (width * height),
            4 * _ROUGH * min(4 * np.pi * area / perimeter**2, 1),
        ]
    )
