"""What FiftyOne and its database cost per image, measured with masks that cost nothing."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from PIL import Image

from fiftyone_promerge.generation.generate import generate_masks
from fiftyone_promerge.models.mask_model import MaskModel
from promerge_core import ImageMasks, ProMergeConfig
from promerge_core.masks.mask import masks_from_arrays

from .provenance import run_record

_WIDTH, _HEIGHT = 640, 480
_BATCH_SIZE = 32
_DEVICE_RATE = 150


class StoredMasks(MaskModel):
    """Gives the same masks for every image.

    Args:
        masks: bool array [M, height, width].
        pause: seconds to wait for each image, as for a device.
    """

    prepare = staticmethod(np.asarray)

    def __init__(self, masks: np.ndarray, pause: float) -> None:
        super().__init__()
        self._pause = pause
        count, height, width = masks.shape
        found = masks_from_arrays(masks, [0.5] * count, [{"votes": 1.0}] * count)
        self._masks = ImageMasks(found, width, height)

    def predict_prepared(self, images: list[Any]) -> list[ImageMasks]:
        """See `MaskModel`."""
        time.sleep(self._pause * len(images))
        return [self._masks for _ in images]

    def record(self) -> dict[str, Any]:
        """See `MaskModel`."""
        return run_record("promerge", "stored", None, ProMergeConfig())


def measure_fiftyone(images: int = 2048) -> dict[str, Any]:
    """Runs `generate_masks` on a dataset of its own with stored masks.

    The images are of one pixel, so that reading them costs next to nothing; the masks are ellipses
    in 640 x 480 pixels. The second run waits in each batch as long as a GPU would compute; a
    worker reads the images and the masks are written meanwhile.

    Args:
        images: number of images that are timed.

    Returns:
        `images`, `masks_per_image`, `seconds` per image, `device_images_per_s` and
        `device_share`: what the second run takes over the device's own time, as a share of it.
    """
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    masks = np.stack(
        [((columns - 150 * n) / 140) ** 2 + ((rows - 240) / 180) ** 2 < 1 for n in (1, 2, 3)]
    )
    beside_device = _seconds(StoredMasks(masks, 1 / _DEVICE_RATE), images, num_workers=1)
    return {
        "images": images,
        "masks_per_image": len(masks),
        "seconds": _seconds(StoredMasks(masks, 0), images, num_workers=0),
        "device_images_per_s": _DEVICE_RATE,
        "device_share": beside_device * _DEVICE_RATE - 1,
    }


def _seconds(model: StoredMasks, images: int, num_workers: int) -> float:
    """What a run takes for each image, after one that is not timed."""
    generate = functools.partial(
        generate_masks,
        model=model,
        batch_size=_BATCH_SIZE,
        num_workers=num_workers,
        progress=False,
    )
    dataset = fo.Dataset()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pixel.png")
            Image.new("RGB", (1, 1)).save(path)
            samples = (fo.Sample(filepath=path) for _ in range(images + _BATCH_SIZE))
            dataset.add_samples(samples, progress=False)
            generate(dataset[:_BATCH_SIZE])
            start = time.perf_counter()
            generate(dataset[_BATCH_SIZE:])
            return (time.perf_counter() - start) / images
    finally:
        dataset.delete()
