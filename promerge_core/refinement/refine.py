"""Dense CRF refinement of instance masks (ProMerge, section 3.4; Kraehenbuehl and Koltun, 2011)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch

from promerge_core.config import ProMergeConfig, RefinementConfig
from promerge_core.machine.processors import each_image
from promerge_core.masks.components import fill_holes
from promerge_core.masks.overlap import mask_iou
from promerge_core.registry import REFINERS

from .batched import CHUNK


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

    Examples:
        >>> import numpy as np, torch
        >>> from promerge_core import refine
        >>> image = np.full((64, 64, 3), 90, np.uint8)
        >>> image[16:40, 16:40] = (220, 30, 30)
        >>> masks = torch.zeros(1, 8, 8, dtype=torch.bool)
        >>> masks[0, 2:6, 2:5] = True  # in patches of 8 pixels, a little more than the red square
        >>> refined, accepted = refine(image, masks)
        >>> refined.sum().item(), accepted.tolist()
        (576, [True])
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
    """Like `refine`, with the IoU itself in place of what it decides.

    Args:
        image: see `refine`.
        masks: see `refine`.
        config: see `refine`.
        backend: see `refine`.

    Returns:
        refined: bool tensor [M, S, S].
        iou: float64 tensor [M] in [0, 1], IoU of each refined mask and its unrefined self.

    Raises:
        ValueError: see `refine`.
        MissingExtraError: see `refine`.
    """
    return refine_batch([image], [masks], config or ProMergeConfig(), backend)


@torch.inference_mode()
def refine_batch(
    images: Sequence[np.ndarray | torch.Tensor],
    masks: Sequence[torch.Tensor],
    config: RefinementConfig,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `refine_with_iou`, for images of one size, each with its own masks.

    Args:
        images: uint8 [S, S, 3] each, at least one.
        masks: bool tensor [M_i, h, w] for each image.
        config: see `refine`.
        backend: see `refine`.

    Returns:
        refined: bool tensor [M, S, S], the masks of the first image, then of the second ...
        iou: float64 tensor [M] in [0, 1].

    Raises:
        ValueError: see `refine`.
        MissingExtraError: see `refine`.
    """
    backend = backend or config.refiner
    if backend not in REFINERS:
        raise ValueError(f"backend must be one of {', '.join(REFINERS)}; got {backend!r}")
    coarse = []
    for image, found in zip(images, masks, strict=True):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, torch.uint8):
            raise ValueError(
                f"image must be uint8 [S, S, 3]; got {image.dtype} {tuple(image.shape)}"
            )
        coarse.append(_upsample(found, image.shape[0], image.shape[1]))
    some = [index for index, found in enumerate(masks) if len(found)]
    if not some:
        return coarse[0], coarse[0].new_zeros(0, dtype=torch.float64)
    pixels = [torch.as_tensor(images[index], device=coarse[index].device) for index in some]
    unrefined = [coarse[index] for index in some]
    refine_some = functools.partial(_refine, config=config, backend=backend)
    if coarse[0].device.type == "cpu":
        results = each_image(lambda *one: refine_some([one[0]], [one[1]]), pixels, unrefined)
    else:
        results = [refine_some(pixels, unrefined)]
    refined, iou = map(torch.cat, zip(*results, strict=True))
    return refined, iou


def _refine(
    pixels: Sequence[torch.Tensor],
    masks: Sequence[torch.Tensor],
    config: RefinementConfig,
    backend: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks that have their image's size, of some images together: see `refine_batch`."""
    refined = REFINERS[backend].load()(pixels, masks, config)
    # A GPU waits for the host at each part; on a CPU more than a few at once are no faster.
    parts = refined.split(CHUNK if refined.device.type == "cpu" else len(refined))
    filled = torch.cat([fill_holes(part) for part in parts])
    return filled, mask_iou(filled, torch.cat([*masks]))


def _upsample(masks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Nearest-neighbour upsampling of bool masks by a whole factor."""
    if height % masks.shape[1] or width % masks.shape[2]:
        raise ValueError(
            f"masks of {masks.shape[1]} x {masks.shape[2]} patches do not divide "
            f"an image of {height} x {width} pixels"
        )
    rows = masks.repeat_interleave(height // masks.shape[1], dim=1)
    return rows.repeat_interleave(width // masks.shape[2], dim=2)
