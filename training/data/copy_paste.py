"""Copy-paste augmentation: instances of one image in another (CutLER, section 3.3)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def copy_paste(
    image: torch.Tensor,
    masks: torch.Tensor,
    source: torch.Tensor,
    source_masks: torch.Tensor,
    scale: tuple[float, float],
    max_cover: float,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pastes 1 to n - 1 of a source's n instances at a random size into a random place.

    A source of one instance gives that one. As in CutLER, a pixel is part of a resized mask where
    any of the four pixels between which it lies is.

    Args:
        image: uint8 tensor [3, H, W].
        masks: bool tensor [N, H, W].
        source: another image, uint8 tensor [3, h, w].
        source_masks: bool tensor [n, h, w].
        scale: range of the pasted image's size; at 1 it just fits into the other.
        max_cover: an instance that covers at least this share of one of `masks` is not pasted.
        rng: makes all the choices.

    Returns:
        the image and its masks, as `paste` gives them.
    """
    if not len(source_masks):
        return image, masks, torch.arange(len(masks))
    count = len(masks)
    height, width = image.shape[1:]
    fit = min(height / source.shape[1], width / source.shape[2]) * rng.uniform(*scale)
    size = tuple(max(round(side * fit), 1) for side in source.shape[1:])
    top = int(rng.integers(height - size[0] + 1))
    left = int(rng.integers(width - size[1] + 1))
    order = rng.permutation(len(source_masks))[: rng.integers(1, max(len(source_masks), 2))]
    chosen = torch.from_numpy(order)
    padding = (left, width - size[1] - left, top, height - size[0] - top)
    placed = F.pad(F.interpolate(source[None], size=size, mode="bilinear")[0], padding)
    picked = source_masks[chosen]
    resized = F.interpolate(picked[None].float(), size=size, mode="bilinear")[0] > 0
    image, masks, origin = paste(image, masks, placed, F.pad(resized, padding), max_cover)
    before = torch.arange(count)
    return image, masks, torch.cat([before, count + chosen])[origin]


def paste(
    image: torch.Tensor,
    masks: torch.Tensor,
    source: torch.Tensor,
    source_masks: torch.Tensor,
    max_cover: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pastes instances of an image onto another of the same size.

    Args:
        image: uint8 tensor [3, H, W].
        masks: bool tensor [N, H, W].
        source: uint8 tensor [3, H, W].
        source_masks: bool tensor [M, H, W].
        max_cover: an instance that covers at least this share of one of `masks` is not pasted.

    Returns:
        the image with the instances over it; the masks that are still visible: those of the image
        less what is pasted over them, then the pasted ones; and where each comes from, int64: its
        place in `masks`, or N and its place in `source_masks`.
    """
    pixels = masks.flatten(1).float()
    shared = pixels @ source_masks.flatten(1).float().T
    cover = shared / pixels.sum(1, keepdim=True).clamp(min=1)
    is_pasted = (cover < max_cover).all(0)
    pasted = source_masks[is_pasted]
    on_top = _any(pasted, 0)
    visible = torch.cat([masks & ~on_top, pasted])
    origin = torch.cat([torch.arange(len(masks)), len(masks) + is_pasted.nonzero()[:, 0]])
    is_left = _any(visible, (1, 2))
    return torch.where(on_top, source, image), visible[is_left], origin[is_left]


def boxes_of(masks: torch.Tensor) -> torch.Tensor:
    """Tight boxes of masks of at least one pixel: bool [N, H, W] -> float32 [N, 4] xyxy."""
    boxes = []
    for side in (2, 1):
        line = _any(masks, 3 - side).byte()
        first = line.argmax(1)
        last = line.shape[1] - line.flip(1).argmax(1)
        boxes += [first, last]
    left, right, top, bottom = boxes
    return torch.stack([left, top, right, bottom], dim=1).float()


def _any(masks: torch.Tensor, axis: int | tuple[int, ...]) -> torch.Tensor:
    # NumPy's: on a CPU torch's own takes twenty times as long, half the time of a sample.
    return torch.from_numpy(masks.numpy().any(axis))
