"""The masks of one image as a picture, before a run makes those of all."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fiftyone_promerge.drawing import paint
from promerge_core import RefinementConfig, open_image
from promerge_core.registry import METHODS

from .inspect_image import kept_backbone

_LONG_SIDE = 800


class Preview(NamedTuple):
    """What a method makes of one image.

    Attributes:
        picture: the image with its masks painted over it, uint8 [height, width, 3].
        masks: how many masks there are.
        reason: why there are none, in words; None where there are.
    """

    picture: np.ndarray
    masks: int
    reason: str | None


def preview(
    filepath: str, method: str, backbone: str, weights: str | None, config: RefinementConfig
) -> Preview:
    """Makes the masks of one image and paints them.

    Args:
        filepath: the image.
        method: a name of `promerge_core.registry.METHODS`.
        backbone: see `promerge_core.load_backbone`.
        weights: the backbone's local weights file, or None.
        config: the parameters of the method.

    Returns:
        the picture, at most 800 pixels wide and high.

    Raises:
        ImageError: the image cannot be read.
        BackboneError: see `promerge_core.load_backbone`.
        ConfigError: the backbone's patches are too large for the input.
    """
    image = open_image(filepath)
    generator: Any = METHODS[method].load()(kept_backbone(backbone, weights), config)
    (found,) = generator.generate([image])
    masks = [mask.to_array().astype(bool) for mask in found]
    picture = Image.fromarray(paint(np.asarray(image), masks))
    picture.thumbnail((_LONG_SIDE, _LONG_SIDE))
    reason = None if found.reason is None else found.reason.explanation
    return Preview(np.asarray(picture), len(found), reason)
