"""Dense CRF refinement of instance masks (ProMerge, section 3.4; Kraehenbuehl and Koltun, 2011)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from promerge_core.config import ProMergeConfig, RefinementConfig
from promerge_core.errors import MissingExtraError
from promerge_core.masks.components import fill_holes
from promerge_core.masks.overlap import mask_iou

from .permutohedral import PermutohedralLattice, divide, pixel_positions, spatial_lattice

_CHUNK = 8


def refine(
    image: np.ndarray | torch.Tensor,
    masks: torch.Tensor,
    config: RefinementConfig | None = None,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Refines masks on the patch grid to the image's pixels with a fully connected CRF.

    Args:
        image: uint8 [S, S, 3], RGB.
        masks: bool tensor [M, h, w]; S must be a multiple of h and w.
        config: uses `refine_iou`, `refiner` and the `crf_*` parameters.
        backend: overrides `config.refiner`: `batched` or `pydensecrf`.

    Returns:
        refined: bool tensor [M, S, S], holes filled, on the masks' device.
        accepted: bool tensor [M], IoU with the unrefined mask is at least `refine_iou`.

    Raises:
        ValueError: a shape does not fit, or the backend is unknown.
        MissingExtraError: `pydensecrf` is asked for and not installed.
    """
    refined, iou = refine_with_iou(image, masks, config, backend)
    config = config or ProMergeConfig()
    return refined, iou >= config.refine_iou


def refine_with_iou(
    image: np.ndarray | torch.Tensor,
    masks: torch.Tensor,
    config: RefinementConfig | None = None,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `refine`, with the IoU of each refined mask and its unrefined self, float64 [M]."""
    return refine_batch([image], [masks], config or ProMergeConfig(), backend)


@torch.inference_mode()
def refine_batch(
    images: Sequence[np.ndarray | torch.Tensor],
    masks: Sequence[torch.Tensor],
    config: RefinementConfig,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `refine_with_iou` for images of one size, each with its own masks, one after another.

    Returns:
        refined: bool tensor [M, S, S], the masks of the first image, then of the second ...
        iou: float64 tensor [M].
    """
    backend = backend or config.refiner
    if backend not in REFINERS:
        raise ValueError(f"backend must be one of {', '.join(REFINERS)}; got {backend!r}")
    coarse, refined = [], []
    for image, found in zip(images, masks, strict=True):
        pixels = torch.as_tensor(image, device=found.device)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != torch.uint8:
            raise ValueError(
                f"image must be uint8 [S, S, 3]; got {pixels.dtype} {tuple(pixels.shape)}"
            )
        coarse.append(_upsample(found, pixels.shape[0], pixels.shape[1]))
        if len(found):
            refined.append(REFINERS[backend](pixels, coarse[-1], config))
    if not refined:
        return coarse[0], coarse[0].new_zeros(0, dtype=torch.float64)
    filled = torch.cat([fill_holes(some) for some in torch.cat(refined).split(_CHUNK)])
    return filled, mask_iou(filled, torch.cat(coarse))


def _upsample(masks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Nearest-neighbour upsampling of bool masks by a whole factor."""
    if height % masks.shape[1] or width % masks.shape[2]:
        raise ValueError(
            f"masks of {masks.shape[1]} x {masks.shape[2]} patches do not divide "
            f"an image of {height} x {width} pixels"
        )
    rows = masks.repeat_interleave(height // masks.shape[1], dim=1)
    return rows.repeat_interleave(width // masks.shape[2], dim=2)


def _batched(pixels: torch.Tensor, masks: torch.Tensor, config: RefinementConfig) -> torch.Tensor:
    """Mean field for all masks of an image at once, on the masks' device.

    With two labels and unaries from a softmax over (1 - m, m), the state of each pixel is one
    number, s = Q(1) - Q(0) = 2 sigmoid(u) - 1 with u = 2m - 1, and an iteration is
    s <- 2 sigmoid(u + gaussian_compat G s + bilateral_compat B s) - 1.
    """
    height, width = pixels.shape[:2]
    spatial = spatial_lattice(height, width, config.crf_gaussian_sxy, pixels.device)
    position = pixel_positions(height, width, config.crf_bilateral_sxy, pixels.device)
    colour = divide(pixels.reshape(-1, 3).float(), config.crf_bilateral_srgb)
    bilateral = PermutohedralLattice(torch.cat([position, colour], dim=1))

    refined = []
    for chunk in masks.flatten(1).T.split(_CHUNK, dim=1):
        unary = chunk.contiguous().float().mul_(2).sub_(1)
        state = unary.sigmoid().mul_(2).sub_(1)
        for _ in range(config.crf_iterations):
            log_odds = unary.add(spatial.filter(state), alpha=config.crf_gaussian_compat)
            log_odds.add_(bilateral.filter(state), alpha=config.crf_bilateral_compat)
            state = log_odds.sigmoid_().mul_(2).sub_(1)
        refined.append(state > 0)
    return torch.cat(refined, dim=1).T.reshape(masks.shape)


def _pydensecrf(
    pixels: torch.Tensor, masks: torch.Tensor, config: RefinementConfig
) -> torch.Tensor:
    """The reference: pydensecrf, one mask after the other, on the CPU."""
    try:
        from pydensecrf.densecrf import DenseCRF2D
        from pydensecrf.utils import unary_from_softmax
    except ImportError as error:
        raise MissingExtraError(
            "the refiner 'pydensecrf' is not installed: pip install 'fiftyone-promerge[pydensecrf]'"
        ) from error

    image = np.ascontiguousarray(pixels.cpu().numpy())
    height, width = image.shape[:2]
    refined = torch.empty_like(masks, device="cpu")
    for index, mask in enumerate(masks.cpu().numpy().astype(np.float32)):
        crf = DenseCRF2D(width, height, 2)
        crf.setUnaryEnergy(unary_from_softmax(_softmax_pair(mask)))
        crf.addPairwiseGaussian(sxy=config.crf_gaussian_sxy, compat=config.crf_gaussian_compat)
        crf.addPairwiseBilateral(
            sxy=config.crf_bilateral_sxy,
            srgb=config.crf_bilateral_srgb,
            rgbim=image,
            compat=config.crf_bilateral_compat,
        )
        labels = np.argmax(crf.inference(config.crf_iterations), axis=0)
        refined[index] = torch.from_numpy(labels.reshape(height, width) == 1)
    return refined.to(masks.device)


def _softmax_pair(mask: np.ndarray) -> np.ndarray:
    """Softmax over (1 - m, m), float32 [2, h, w]."""
    exponents = np.exp(np.stack([1 - mask, mask]))
    return exponents / exponents.sum(axis=0)


Refiner = Callable[[torch.Tensor, torch.Tensor, RefinementConfig], torch.Tensor]
REFINERS: dict[str, Refiner] = {"batched": _batched, "pydensecrf": _pydensecrf}
