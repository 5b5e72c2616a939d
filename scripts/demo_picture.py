"""Draws the demo's photos, and below each its masks by the backbone `embedded`.

python scripts/demo_picture.py docs/images/demo.jpg
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image, ImageOps

from fiftyone_promerge.demo import demo_photos
from promerge_core import ProMerge, load_backbone, open_image
from promerge_core.masks.painting import paint

COLUMNS = 4
TILE = (300, 200)


def main(output: str) -> None:
    """Draws rows of photos, each with a row of their masks below it."""
    photos = [open_image(path) for path in demo_photos()]
    pixels = [np.asarray(photo.convert("RGB")) for photo in photos]
    found = ProMerge(load_backbone("embedded")).generate(photos)
    tiles = [
        [
            np.asarray(ImageOps.fit(Image.fromarray(picture), TILE))
            for picture in (plain, paint(plain, [mask.to_array() for mask in masks]))
        ]
        for plain, masks in zip(pixels, found, strict=True)
    ]
    rows = [
        np.hstack([tile[kind] for tile in tiles[start : start + COLUMNS]])
        for start in range(0, len(tiles), COLUMNS)
        for kind in (0, 1)
    ]
    Image.fromarray(np.vstack(rows)).save(output, quality=85)


if __name__ == "__main__":
    main(sys.argv[1])
