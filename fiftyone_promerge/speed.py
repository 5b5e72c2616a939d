"""What FiftyOne and its database cost an image, measured with masks that cost nothing."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from PIL import Image

from promerge_core import ImageMasks, ProMergeConfig
from promerge_core.masks import masks_from_arrays

from .generation import generate_masks
from .mask_model import MaskModel
from .runs import run_record

_WIDTH, _HEIGHT = 640, 480
_WARM_UP = 8


class StoredMasks(MaskModel):
    """Gives the same masks for every image, at no cost.

    Args:
        masks: bool array [M, height, width].
    """

    prepare = staticmethod(np.asarray)

    def __init__(self, masks: np.ndarray) -> None:
        super().__init__()
        count, height, width = masks.shape
        found = masks_from_arrays(masks, [0.5] * count, [{"votes": 1.0}] * count)
        self._masks = ImageMasks(found, width, height)

    def predict_prepared(self, images: list[Any]) -> list[ImageMasks]:
        """See `MaskModel`."""
        return [self._masks for _ in images]

    def record(self) -> dict[str, Any]:
        """See `MaskModel`."""
        return run_record("promerge", "stored", None, ProMergeConfig())


def measure_fiftyone(images: int = 512) -> dict[str, Any]:
    """Runs `generate_masks` on a dataset of its own with stored masks.

    The images are of one pixel, so that reading them costs next to nothing; the masks are ellipses
    in 640 x 480 pixels.

    Args:
        images: number of images that are timed.

    Returns:
        `images`, `masks_per_image` and `seconds`, per image.
    """
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    masks = np.stack(
        [((columns - 150 * n) / 140) ** 2 + ((rows - 240) / 180) ** 2 < 1 for n in (1, 2, 3)]
    )
    model = StoredMasks(masks)
    dataset = fo.Dataset()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pixel.png")
            Image.new("RGB", (1, 1)).save(path)
            samples = [fo.Sample(filepath=path) for _ in range(images + _WARM_UP)]
            dataset.add_samples(samples, progress=False)
            generate_masks(dataset[:_WARM_UP], model, num_workers=0, progress=False)
            start = time.perf_counter()
            generate_masks(dataset[_WARM_UP:], model, num_workers=0, progress=False)
            seconds = time.perf_counter() - start
    finally:
        dataset.delete()
    return {"images": images, "masks_per_image": len(masks), "seconds": seconds / images}
