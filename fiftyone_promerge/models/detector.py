"""A trained detector as a FiftyOne model, for `dataset.apply_model`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_promerge.training import Detector, load
from promerge_core import ImageMasks
from promerge_core.backbones.device import resolve_device
from promerge_core.images import to_rgb

from .mask_model import MaskModel

METHOD = "detector"
"""Name of the method in the record of a run."""


class DetectorModel(MaskModel):
    """Instance masks of a detector that was trained without labels; see `MaskModel`.

    Use it with `dataset.apply_model(model, label_field="promerge_plus", batch_size=8)`.

    Args:
        detector: makes the masks.
        checkpoint: the file it was loaded from, for the record.
    """

    def __init__(self, detector: Detector, checkpoint: Path) -> None:
        super().__init__()
        self.detector = detector
        self.checkpoint = checkpoint
        self.prepare = prepare_pixels

    def predict_prepared(self, images: list[Any]) -> list[ImageMasks]:
        """Masks of images, uint8 arrays [H, W, 3]; see `Detector.predict`."""
        found = self.detector.predict(images) if images else []
        return [
            ImageMasks(masks, width=image.shape[1], height=image.shape[0])
            for masks, image in zip(found, images, strict=True)
        ]

    def record(self) -> dict[str, Any]:
        """What makes the masks, ready for JSON; `sha256` tells one training from another."""
        digest = hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()
        return {
            "method": METHOD,
            "backbone": "resnet50",
            "weights": str(self.checkpoint),
            "parameters": {"sha256": digest},
        }


def prepare_pixels(image: Any) -> np.ndarray:
    """The pixels of an image of any mode, uint8 array [H, W, 3]."""
    return np.array(to_rgb(image))


def load_detector(checkpoint: str | Path, device: str = "auto") -> DetectorModel:
    """Loads a trained detector for `dataset.apply_model`.

    Args:
        checkpoint: what `train_detector` wrote, `detector.pt`; or a detector of CutLER's code,
            `.pth` or `.pkl`, which needs detectron2.
        device: `auto` (cuda, else cpu), or a torch device.

    Returns:
        a FiftyOne model: `dataset.apply_model(model, label_field)`.

    Raises:
        PromergeError: the file cannot be read, or holds something to be executed, or does not fit
            its architecture.
        MissingExtraError: the library of its engine is not installed.
        BackboneError: this machine has no such device.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> detector = fop.load_detector("run/round_0/detector.pt")
        >>> photos.apply_model(detector, label_field="promerge_plus", batch_size=8)
        >>> photos.has_field("promerge_plus")
        True
    """
    model = DetectorModel(load(checkpoint, resolve_device(device)), Path(checkpoint).resolve())
    model.options = {"device": str(device)}
    return model
