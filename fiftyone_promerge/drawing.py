"""Photos with their masks over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def draw_masks(
    images: Sequence[Image.Image], masks: Sequence[Sequence[np.ndarray]], path: Path
) -> None:
    """Draws photos with their masks over them into one picture.

    Args:
        images: RGB images of any sizes.
        masks: for each image its masks, bool arrays [height, width].
        path: where to write the picture (PNG or JPEG by its suffix).
    """
    from matplotlib.figure import Figure

    columns = min(4, len(images))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, image_masks in zip(axes, images, masks, strict=False):
        axis.imshow(paint(np.asarray(image), image_masks))
        axis.set_title(f"{len(image_masks)} mask{'s' * (len(image_masks) != 1)}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def paint(image: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """A photo with its masks tinted, largest below, and outlined.

    Args:
        image: uint8 [height, width, 3].
        masks: bool arrays [height, width].

    Returns:
        uint8 [height, width, 3].
    """
    import matplotlib

    painted = image.astype(np.float32)
    colours = np.array(matplotlib.colormaps["tab10"].colors) * 255  # type: ignore[attr-defined]
    for index, mask in sorted(enumerate(masks), key=lambda item: -item[1].sum()):
        colour = colours[index % len(colours)]
        painted[mask] = 0.5 * painted[mask] + 0.5 * colour
        painted[_outline(mask, max(1, min(mask.shape) // 200))] = colour
    return painted.round().astype(np.uint8)


def _outline(mask: np.ndarray, width: int) -> np.ndarray:
    """The mask's pixels within `width` of its edge."""
    padded = np.pad(mask, width)
    inner = mask.copy()
    for shift in (-width, width):
        inner &= np.roll(padded, shift, 0)[width:-width, width:-width]
        inner &= np.roll(padded, shift, 1)[width:-width, width:-width]
    return mask & ~inner
