"""Photos with their masks over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from promerge_core.masks.painting import paint


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
