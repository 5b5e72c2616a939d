"""Square crops of images at random sizes: what a detector is trained on where memory is short."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from promerge_core import Mask
from promerge_core.backbones.base import IMAGENET_MEAN
from promerge_core.masks.rle import decode_rle

from .records import Record

_PLACES = 8  # tries to find one with an instance
_MIN_VISIBLE = 0.2  # share of an instance, below which what is left of it is none
_MIN_SIDE = 4  # pixels, below which a box says nothing of what is in it


class Window(NamedTuple):
    """A square that is cut out of a resized image.

    Attributes:
        scale: size of the resized image relative to the original.
        left: left edge, in pixels of the resized image; negative where the image begins inside.
        top: top edge, likewise.
        side: in pixels of the resized image.
    """

    scale: float
    left: int
    top: int
    side: int


def choose_window(
    record: Record,
    side: int,
    short_side: int,
    scales: tuple[float, float],
    rng: np.random.Generator,
) -> Window:
    """Chooses a size of an image and a place in it, rather one with the middle of an instance.

    Args:
        record: the image.
        side: of the crop, in pixels.
        short_side: of the resized image, in pixels, at scale 1.
        scales: range of the scale; its logarithm is uniform.
        rng: makes all the choices.

    Returns:
        a place within the image where that is larger than the crop; else the image lies anywhere
        within the crop.
    """
    scale = float(np.exp(rng.uniform(*np.log(scales))))
    scale *= short_side / min(record.width, record.height)
    room = [round(length * scale) - side for length in (record.width, record.height)]
    boxes = np.array([mask.bbox for mask in record.instances]).reshape(-1, 4)
    middles = (boxes[:, :2] + boxes[:, 2:] / 2) * scale
    for _ in range(_PLACES):
        corner = [int(rng.integers(min(free, 0), max(free, 0) + 1)) for free in room]
        if np.all((middles >= corner) & (middles < np.add(corner, side)), axis=1).any():
            break
    return Window(scale, corner[0], corner[1], side)


def crop_record(
    picture: Image.Image, record: Record, window: Window
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cuts a window out of an image, resized bilinearly, and out of its masks.

    Only what is in the window is resized. Beside the image it has ImageNet's mean colour.

    Args:
        picture: the image of the record.
        record: its instances.
        window: what to cut out.

    Returns:
        uint8 tensor [3, side, side], bool tensor [N, side, side], and the place of each in
        `record.instances`, int64 [N]; instances of which less than a fifth or less than four
        pixels in width or height are left are left out.
    """
    scale, left, top, side = window
    pixels = np.full((side, side, 3), np.round(np.multiply(IMAGENET_MEAN, 255)), np.uint8)
    # The part of the window that the image fills, in pixels of the window.
    x0, y0 = max(-left, 0), max(-top, 0)
    x1 = min(round(picture.width * scale) - left, side)
    y1 = min(round(picture.height * scale) - top, side)
    box = ((x0 + left) / scale, (y0 + top) / scale, (x1 + left) / scale, (y1 + top) / scale)
    box = (*box[:2], min(box[2], picture.width), min(box[3], picture.height))
    part = picture.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=box)
    pixels[y0:y1, x0:x1] = np.asarray(part)
    masks = [_crop_mask(mask, window) for mask in record.instances]
    left_over = [mask for mask in masks if mask is not None]
    kept = torch.tensor([i for i, mask in enumerate(masks) if mask is not None], dtype=torch.int64)
    shown = np.stack(left_over) if left_over else np.zeros((0, side, side), bool)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), torch.from_numpy(shown), kept


def _crop_mask(mask: Mask, window: Window) -> np.ndarray | None:
    """A mask in the window, bool [side, side]; None where too little of it is left."""
    scale, left, top, side = window
    edges = np.array(mask.bbox) * scale
    visible = np.minimum(edges[:2] + edges[2:], np.add((left, top), side))
    visible = visible - np.maximum(edges[:2], (left, top))
    if visible.min() < _MIN_SIDE:
        return None
    array = decode_rle(mask.segmentation).view(np.uint8)
    # Where the middle of a pixel of the window lies in the image.
    shift = [(left + 0.5) / scale - 0.5, (top + 0.5) / scale - 0.5]
    matrix = np.array([[1 / scale, 0, shift[0]], [0, 1 / scale, shift[1]]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(array, matrix, (side, side), flags=flags).view(bool)
    if shown.sum() < _MIN_VISIBLE * mask.area * scale**2:
        return None
    width, height = shown.any(0).sum(), shown.any(1).sum()
    return shown if min(width, height) >= _MIN_SIDE else None


def touches_edge(masks: torch.Tensor) -> torch.Tensor:
    """Which masks may be cut off by the window: bool [N, H, W] -> bool [N]."""
    edges = (masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1])
    return torch.stack([edge.any(1) for edge in edges]).any(0)
