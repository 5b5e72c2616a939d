"""One vector per mask, as the descriptor of a backbone gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from promerge_core.backbones.base import Backbone
from promerge_core.errors import PromergeError
from promerge_core.images import PreparedImage, prepare_image
from promerge_core.masks.mask import Mask
from promerge_core.registry import find_backbone, load

IMAGE_SIZE = 480
"""Side of the square that an image is resized to, in pixels, as where masks are made."""


def describe_masks(
    backbone: Backbone, image: Image.Image | np.ndarray, masks: np.ndarray
) -> np.ndarray:
    """Describes each mask of an image by one vector.

    Of a network it is the mean of the patch features over the mask, each patch weighted by how
    much of it the mask covers. The codes of `embedded` mean nothing across images; its vectors are
    colour, texture, size and shape, see `promerge_core.descriptors.appearance`.

    Args:
        backbone: as `load_backbone` gives it.
        image: an image of any mode and size.
        masks: bool array [N, H, W] of the image's own size.

    Returns:
        float32 array [N, D].

    Raises:
        PromergeError: a mask has another size than the image, or no pixels.
        ImageError: the array is no image.

    Examples:
        >>> import numpy as np
        >>> from promerge_core import describe_masks, load_backbone
        >>> from skimage.data import coffee
        >>> masks = np.zeros((1, 400, 600), bool)
        >>> masks[0, 100:200, 300:400] = True
        >>> describe_masks(load_backbone("embedded"), coffee(), masks).shape
        (1, 11)
    """
    prepared = prepare_image(image, input_size(backbone))
    for mask in masks:
        if mask.shape != (prepared.height, prepared.width) or not mask.any():
            raise PromergeError(
                f"a mask must have the image's size, {prepared.height} x {prepared.width}, and at "
                f"least one pixel; got {mask.shape} and {int(mask.sum())} pixels"
            )
    return describe_batch(backbone, [prepared.pixels], [list(masks)])[0]


def input_size(backbone: Backbone, image_size: int = IMAGE_SIZE) -> int:
    """Side of the backbone's input: `image_size`, down to a multiple of its patch.

    Args:
        backbone: as `load_backbone` gives it.
        image_size: in pixels.

    Returns:
        the side in pixels.
    """
    return image_size - image_size % backbone.patch_size


@torch.inference_mode()
def describe_batch(
    backbone: Backbone,
    pixels: Sequence[np.ndarray],
    masks: Sequence[Sequence[np.ndarray]],
    features: torch.Tensor | None = None,
) -> list[np.ndarray]:
    """Describes the masks of a batch of prepared images.

    Args:
        backbone: as `load_backbone` gives it.
        pixels: uint8 arrays [S, S, 3], all of one size.
        masks: for each image its masks, bool arrays [H, W] of the image's own size, none empty.
        features: the images' features [B, C, h, w] where the backbone gave them already.

    Returns:
        for each image float32 [N, D].
    """
    entry = find_backbone(backbone.name)
    describe = load(entry.descriptor if entry else "descriptors.features:describe_by_features")
    found: list[np.ndarray] = describe(backbone, pixels, masks, features)
    return found


def add_embeddings(
    backbone: Backbone,
    images: Sequence[PreparedImage],
    found: Sequence[list[Mask]],
    features: torch.Tensor,
) -> None:
    """Gives masks their vectors, where the features are there already.

    Args:
        backbone: gave the features.
        images: the prepared images.
        found: the masks of each image, which are replaced.
        features: the images' features [B, C, h, w].
    """
    pixels = [image.pixels for image in images]
    arrays = [[mask.to_array() for mask in masks] for masks in found]
    vectors = describe_batch(backbone, pixels, arrays, features)
    for masks, own in zip(found, vectors, strict=True):
        pairs = zip(masks, own, strict=True)
        masks[:] = [dataclasses.replace(mask, embedding=vector) for mask, vector in pairs]


def embedding_dim(backbone: Backbone) -> int:
    """Number D of the values in a mask's vector."""
    size = input_size(backbone)
    nothing = torch.zeros(1, backbone.dim, 1, 1)
    return describe_batch(backbone, [np.zeros((size, size, 3), np.uint8)], [[]], nothing)[0].shape[
        1
    ]
