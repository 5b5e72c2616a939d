"""Draws the masks of photos with and without a preset, one above the other.

python scripts/preset_picture.py docs/images/preset.jpg PHOTO...
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from promerge_core import ProMerge, ProMergeConfig, load_backbone, open_image


def picture(image: Image.Image, config: ProMergeConfig) -> Image.Image:
    """The image with each of its masks in a colour of its own.

    Args:
        image: the image.
        config: the parameters.

    Returns:
        the picture, 320 pixels wide.
    """
    pixels = np.asarray(image.convert("RGB")).astype(float)
    colours = np.random.default_rng(1)
    (masks,) = ProMerge(load_backbone("embedded"), config).generate([image])
    for mask in sorted(masks, key=lambda one: -one.area):
        where = mask.to_array()
        pixels[where] = 0.4 * pixels[where] + 0.6 * colours.integers(0, 255, 3)
    drawn = Image.fromarray(pixels.astype(np.uint8))
    return drawn.resize((320, round(320 * drawn.height / drawn.width)))


def main(output: str, *photos: str) -> None:
    """Draws the photos in columns: without the preset above, with it below."""
    configs = (ProMergeConfig(), ProMergeConfig.from_preset("microscopy"))
    images = [open_image(photo) for photo in photos]
    rows = [np.hstack([np.asarray(picture(one, config)) for one in images]) for config in configs]
    Image.fromarray(np.vstack(rows)).save(output, quality=85)


if __name__ == "__main__":
    main(*sys.argv[1:])
