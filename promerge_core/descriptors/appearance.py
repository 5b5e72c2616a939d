"""A mask's vector from what is seen inside it: colour and size.

For the embedded backbone, whose region codes mean nothing across images. Seven values:

- Mean and spread of CIE L, a and b over the mask. A unit is 10, a clear difference in colour.
- The area's part of the image. A unit is a factor of 4, twice the side.

Both units are constants, so that vectors of new images can be compared with old ones. They are
round numbers, taken over from an earlier version that had texture and shape as well. The weights of
those were chosen by comparing results on the true classes of one data set (BCCD), which says
nothing about other images, so they were left out. The units were not compared again; as they come
from that version, figures on BCCD may flatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from promerge_core.colour import rgb_to_lab

from .features import cover

_COLOUR_UNIT = 10.0
DIM = 7


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
        for each image float32 [N, 7].
    """
    return [_describe(image, own) for image, own in zip(pixels, masks, strict=True)]


def _describe(pixels: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    if not len(masks):
        return np.zeros((0, DIM), np.float32)
    height, width = pixels.shape[:2]
    rgb = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    lab = 100 / _COLOUR_UNIT * rgb_to_lab(rgb)[0].numpy()
    rows = []
    for mask in masks:
        inside = lab[:, cover(mask, width, height) > 0]
        size = [0.5 * np.log2(mask.mean())]
        rows.append(np.concatenate([inside.mean(axis=1), inside.std(axis=1), size]))
    return np.array(rows, np.float32)
