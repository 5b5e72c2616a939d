"""A trained detector as a FiftyOne model, for `dataset.apply_model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fiftyone_promerge.training import Detector, DetectorGenerator, load
from promerge_core import ImageMasks
from promerge_core.backbones.device import resolve_device
from promerge_core.files import file_digest

from .mask_model import MaskModel


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
        self._generator = DetectorGenerator(detector)
        self.prepare = self._generator.preparation

    def predict_prepared(self, images: list[Any]) -> list[ImageMasks]:
        """Masks of images, uint8 arrays [H, W, 3]; see `Detector.predict`."""
        return self._generator.generate_prepared(images)

    def record(self) -> dict[str, Any]:
        """What makes the masks, ready for JSON; `sha256` tells one training from another."""
        return {
            "method": DetectorGenerator.METHOD,
            "backbone": "resnet50",
            "weights": str(self.checkpoint),
            "parameters": {"sha256": file_digest(self.checkpoint)},
        }


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
