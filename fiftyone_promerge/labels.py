"""Mask <-> fo.Detection, pixel exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from PIL import Image

import promerge_core.masks.mask as mask_module
from promerge_core import Mask, PromergeError

from .fiftyone_internals import detections_document

if TYPE_CHECKING:
    from promerge_core import ImageMasks

LABEL = mask_module.LABEL
"""The class of every mask that is told from no other: the project's public name."""

EMBEDDING = "embedding"
"""The attribute of a detection that holds its mask's vector."""


def mask_to_detection(mask: Mask) -> fo.Detection:
    """Turns a mask into a detection: relative box, the mask inside it, score and facts.

    Args:
        mask: a mask of at least one pixel.

    Returns:
        the detection, whose `mask` is bool [box height, box width].
    """
    return fo.Detection(**_values(mask))


def _values(mask: Mask) -> dict[str, Any]:
    """The attributes of a mask's detection."""
    height, width = mask.segmentation["size"]
    return {
        "label": mask.label,
        "bounding_box": relative_box(mask.bbox, width, height),
        "mask": mask.crop(),
        "confidence": mask.score,
        **mask.facts,
        **({} if mask.embedding is None else {EMBEDDING: mask.embedding}),
    }


def relative_box(bbox: Sequence[float], width: int, height: int) -> list[float]:
    """COCO's box -> FiftyOne's.

    Args:
        bbox: (x, y, width, height) in pixels.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        [x, y, width, height] as fractions of the image's sides.
    """
    x, y, box_width, box_height = bbox
    return [x / width, y / height, box_width / width, box_height / height]


def detection_to_mask(detection: fo.Detection, width: int, height: int) -> np.ndarray:
    """Draws a detection's mask into an image of the given size; without a mask, its box.

    The mask is laid at the rounded corner of the box, in its own size where that is the box's
    size in pixels, else resized to it.

    Args:
        detection: a detection with a mask in the database or at `mask_path`, or none.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        bool array [height, width].

    Raises:
        PromergeError: the mask file cannot be read.
    """
    left, top, box_width, box_height = detection.bounding_box
    x0, x1 = round(left * width), round((left + box_width) * width)
    y0, y1 = round(top * height), round((top + box_height) * height)
    mask = _box_mask(detection)
    if mask is None:
        mask = np.ones((max(y1 - y0, 0), max(x1 - x0, 0)), dtype=bool)
    elif not _is_size(mask.shape, (y1 - y0, x1 - x0)):
        image = Image.fromarray(mask)
        image = image.resize((max(x1 - x0, 1), max(y1 - y0, 1)), Image.Resampling.NEAREST)
        mask = np.asarray(image)
    canvas = np.zeros((height, width), dtype=bool)
    visible = mask[max(-y0, 0) : max(height - y0, 0), max(-x0, 0) : max(width - x0, 0)]
    top, left = max(y0, 0), max(x0, 0)
    canvas[top : top + visible.shape[0], left : left + visible.shape[1]] = visible
    return canvas


def _box_mask(detection: fo.Detection) -> np.ndarray | None:
    """The mask inside the box as a bool array, or None where the detection has none."""
    if not detection.has_mask:
        return None
    try:
        mask = detection.get_mask()
    except OSError as error:
        raise PromergeError(f"the mask file {detection.mask_path} cannot be read") from error
    return np.ascontiguousarray(mask > 0 if mask.ndim == 2 else mask[..., 0] > 0)


def _is_size(shape: tuple[int, ...], box: tuple[int, int]) -> bool:
    """Whether a mask has its box's size, give or take the pixel that other tools round away."""
    return all(abs(side - expected) <= 1 for side, expected in zip(shape, box, strict=True))


def masks_to_detections(masks: list[Mask], reason: str | None = None) -> fo.Detections:
    """The label of one image.

    Args:
        masks: the image's masks, each of at least one pixel.
        reason: why there are none, or None.

    Returns:
        the detections, in the masks' order, with the attribute `reason`.
    """
    detections = [mask_to_detection(mask) for mask in masks]
    return fo.Detections(detections=detections, reason=reason)


def label_document(masks: ImageMasks) -> dict[str, Any]:
    """What the database holds of the label that `masks_to_detections` makes of an image's masks."""
    return detections_document(map(_values, masks), reason=masks.reason)


def move_into_box(label: fo.Detections, box: tuple[float, float, float, float]) -> None:
    """Re-expresses detections of a patch in the coordinates of the whole image, in place.

    Args:
        label: detections whose boxes are relative to the patch.
        box: relative (x, y, width, height) of the patch in the whole image.
    """
    left, top, width, height = box
    for detection in label.detections:
        x, y, w, h = detection.bounding_box
        detection.bounding_box = [left + x * width, top + y * height, w * width, h * height]
