"""Masks: COCO run-length encoding, boxes, packing, connected components, holes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask


@dataclasses.dataclass(frozen=True)
class Mask:
    """One instance mask at the size of its image.

    Attributes:
        segmentation: COCO compressed RLE, `{"size": [height, width], "counts": str}`.
        bbox: (x, y, width, height) in pixels, tight around the mask.
        area: number of pixels in the mask.
        score: confidence in (0, 1].
        facts: what the stages know about the mask, for a person to look at: `votes` (proposals
            merged into it), `background_similarity` (cosine), `refine_iou`.
    """

    segmentation: dict[str, Any]
    bbox: tuple[float, float, float, float]
    area: int
    score: float
    facts: dict[str, float] = dataclasses.field(default_factory=dict)

    def to_array(self) -> np.ndarray:
        """The mask as a bool array [height, width]."""
        return decode_rle(self.segmentation)

    def crop(self) -> np.ndarray:
        """The mask inside its box, a bool array [box height, box width]."""
        x, y, width, height = (round(side) for side in self.bbox)
        return np.ascontiguousarray(self.to_array()[y : y + height, x : x + width])


def encode_rle(masks: np.ndarray) -> list[dict[str, Any]]:
    """Encodes masks as COCO compressed RLE.

    Args:
        masks: bool or uint8 array [M, height, width].

    Returns:
        M dicts `{"size": [height, width], "counts": str}`, ready for JSON.
    """
    if len(masks) == 0:
        return []
    fortran = np.asfortranarray(np.moveaxis(masks.astype(np.uint8), 0, -1))
    return [
        {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}
        for rle in coco_mask.encode(fortran)
    ]


def decode_rle(segmentation: dict[str, Any]) -> np.ndarray:
    """Decodes one COCO RLE, compressed or not, to a bool array [height, width].

    Raises:
        ValueError: the runs do not add up to the size.
    """
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    if isinstance(counts, list):
        if sum(counts) != height * width:
            raise ValueError(f"RLE runs add up to {sum(counts)}, not to {height} x {width} pixels")
        segmentation = coco_mask.frPyObjects(segmentation, height, width)
    elif isinstance(counts, str):
        segmentation = {"size": [height, width], "counts": counts.encode("ascii")}
    return coco_mask.decode(segmentation).view(bool)


def masks_from_arrays(
    masks: np.ndarray, scores: list[float], facts: list[dict[str, float]]
) -> list[Mask]:
    """Builds `Mask` objects from a bool array [M, height, width]; empty masks are left out."""
    rles = encode_rle(masks)
    return [
        Mask(
            rle,
            tuple(float(side) for side in coco_mask.toBbox(rle)),  # type: ignore[arg-type]
            int(coco_mask.area(rle)),
            score,
            fact,
        )
        for rle, score, fact in zip(rles, scores, facts, strict=True)
        if coco_mask.area(rle) > 0
    ]


def resize_masks(masks: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes masks to an image's own size: bicubic on 0/255, then > 127 (DESIGN, stage 8).

    Args:
        masks: bool array [M, S, S].
        width: width of the result in pixels.
        height: height of the result in pixels.

    Returns:
        bool array [M, height, width].
    """
    resized = np.zeros((len(masks), height, width), dtype=bool)
    for index, mask in enumerate(masks):
        image = Image.fromarray(mask.astype(np.uint8) * 255)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        resized[index] = np.asarray(image) > 127
    return resized


def mask_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """IoU of masks pair by pair: two bool tensors [M, ...] -> float64 [M]; 0 for two empty ones."""
    intersection = (first & second).flatten(1).sum(1).double()
    union = (first | second).flatten(1).sum(1).double()
    return intersection / union.clamp(min=1)


def connected_components(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels the 4-connected components of many masks at once, on their device.

    The pixels are first gathered into horizontal runs; runs that touch vertically are edges of a
    graph, whose components are found by hooking each run to the lowest label it touches and
    halving paths, in a number of rounds that grows with the logarithm of the longest path.

    Args:
        masks: bool tensor [N, h, w].

    Returns:
        labels: int32 tensor [N, h, w]; -1 outside the masks. Components are numbered from 0
            through all masks, in raster order of their first pixel.
        areas: int64 tensor [number of components], in pixels.
    """
    _, height, width = masks.shape
    starts = masks.clone()
    starts[..., 1:] &= ~masks[..., :-1]
    run = starts.flatten().cumsum(0, dtype=torch.int32).sub_(1)
    runs = int(run[-1]) + 1 if len(run) else 0
    # Where two runs begin to touch, at least one of them begins.
    touch = masks[:, 1:] & masks[:, :-1] & (starts[:, 1:] | starts[:, :-1])
    edge = touch.flatten().nonzero()[:, 0]
    upper = edge + edge // max((height - 1) * width, 1) * width
    parent = _graph_components(runs, run[upper].long(), run[upper + width].long())

    is_root = parent == torch.arange(runs, device=masks.device)
    number = is_root.cumsum(0, dtype=torch.int32).sub_(1)[parent]
    if runs == 0:
        return run.view(masks.shape), number.long()
    labels = number.index_select(0, run.clamp_(min=0)).view(masks.shape).masked_fill_(~masks, -1)
    areas = torch.bincount(labels.flatten() + 1, minlength=int(is_root.sum()) + 1)[1:]
    return labels, areas


def _graph_components(nodes: int, tail: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """For each node the lowest node of its component, int64 [nodes]."""
    parent = torch.arange(nodes, device=tail.device)
    ends = torch.cat([tail, head])
    while True:
        lowest = torch.minimum(parent[tail], parent[head]).repeat(2)
        hooked = parent.scatter_reduce(0, parent[ends], lowest, "amin")
        hooked = hooked.scatter_reduce(0, ends, lowest, "amin")
        hooked = hooked[hooked]
        if torch.equal(hooked, parent):
            return parent
        parent = hooked


def fill_holes(masks: torch.Tensor) -> torch.Tensor:
    """Fills what a mask encloses: background not 4-connected to the image's border.

    Args:
        masks: bool tensor [M, h, w].

    Returns:
        bool tensor [M, h, w], as scipy.ndimage.binary_fill_holes gives for each mask.
    """
    if masks.numel() == 0:
        return masks
    outside = torch.nn.functional.pad(~masks, (1, 1, 1, 1), value=True)
    labels, _ = connected_components(outside)
    reached = labels == labels[:, :1, :1]
    return ~reached[:, 1:-1, 1:-1]
