"""The dense CRF by pydensecrf: the reference, one mask after the other, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from promerge_core.config import RefinementConfig
from promerge_core.errors import MissingExtraError


def refine_by_pydensecrf(
    pixels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], config: RefinementConfig
) -> torch.Tensor:
    """The same as `refine_batched`, by pydensecrf.

    Args:
        pixels: uint8 tensor [H, W, 3] for each image, RGB, on any device.
        masks: bool tensor [M, H, W] for each image.
        config: uses the `crf_*` parameters.

    Returns:
        bool tensor [sum of M, H, W] on the masks' device, image by image.

    Raises:
        MissingExtraError: pydensecrf is not installed.
    """
    try:
        from pydensecrf.densecrf import DenseCRF2D
        from pydensecrf.utils import unary_from_softmax
    except ImportError as error:
        raise MissingExtraError(
            "the refiner 'pydensecrf' is not installed: pip install 'fiftyone-promerge[pydensecrf]'"
        ) from error

    refined = []
    for image, own in zip(pixels, masks, strict=True):
        rgb = np.ascontiguousarray(image.cpu().numpy())
        height, width = rgb.shape[:2]
        for mask in own.cpu().numpy().astype(np.float32):
            crf = DenseCRF2D(width, height, 2)
            crf.setUnaryEnergy(unary_from_softmax(_softmax_pair(mask)))
            crf.addPairwiseGaussian(sxy=config.crf_gaussian_sxy, compat=config.crf_gaussian_compat)
            crf.addPairwiseBilateral(
                sxy=config.crf_bilateral_sxy,
                srgb=config.crf_bilateral_srgb,
                rgbim=rgb,
                compat=config.crf_bilateral_compat,
            )
            labels = np.argmax(crf.inference(config.crf_iterations), axis=0)
            refined.append(torch.from_numpy(labels.reshape(height, width) == 1))
    return torch.stack(refined).to(masks[0].device)


def _softmax_pair(mask: np.ndarray) -> np.ndarray:
    """Softmax over (1 - m, m), float32 [2, h, w]."""
    exponents = np.exp(np.stack([1 - mask, mask]))
    return exponents / exponents.sum(axis=0)
