"""A trained detector in the place of a generator of masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fiftyone_promerge.training.engines.base import Detector
from promerge_core import ImageMasks
from promerge_core.images import to_rgb
from promerge_core.machine.timing import Timer


class DetectorGenerator:
    """Makes masks as `promerge_core.MaskGenerator` does, by a trained detector.

    Args:
        detector: finds the masks.

    Attributes:
        detector: the same.
        timer: seconds that it took.
        METHOD: name of the method in the record of a run.
    """

    METHOD = "detector"

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.timer = Timer(detector.device)

    @property
    def parameters(self) -> dict[str, Any]:
        """None: the checkpoint decides all."""
        return {}

    @property
    def preparation(self) -> Callable[[Any], np.ndarray]:
        """Makes of an image what `generate_prepared` takes; it can be pickled."""
        return pixels

    def generate_prepared(self, images: Sequence[np.ndarray]) -> list[ImageMasks]:
        """The masks of images, uint8 arrays [H, W, 3]; see `Detector.predict`."""
        if not images:
            return []
        with self.timer.stage("predict"):
            found = self.detector.predict(images)
        self.timer.images += len(images)
        return [
            ImageMasks(masks, width=image.shape[1], height=image.shape[0])
            for masks, image in zip(found, images, strict=True)
        ]


def pixels(image: Any) -> np.ndarray:
    """The pixels of an image of any mode, uint8 array [H, W, 3]."""
    return np.array(to_rgb(image))
