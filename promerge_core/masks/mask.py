"""One instance mask of an image, as every method gives it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from .rle import decode_rle, encode_rle

LABEL = "object"
"""The class of a mask where none is told from another."""

FACTS = ("votes", "background_similarity", "refine_iou")
"""What the stages know about a mask, for a person to look at: see `Mask.facts`."""


@dataclasses.dataclass(frozen=True)
class Mask:
    """One instance mask at the size of its image.

    Attributes:
        segmentation: COCO compressed RLE, `{"size": [height, width], "counts": str}`.
        bbox: (x, y, width, height) in pixels, tight around the mask.
        area: number of pixels in the mask.
        score: confidence in (0, 1].
        facts: number by name, of those in `FACTS`: `votes` (proposals merged into it),
            `background_similarity` (cosine), `refine_iou`.
        embedding: what it looks like, float32 [D], see `promerge_core.describe_masks`; None where
            it was not asked for.
        label: name of its class.
    """

    segmentation: dict[str, Any]
    bbox: tuple[float, float, float, float]
    area: int
    score: float
    facts: dict[str, float] = dataclasses.field(default_factory=dict)
    embedding: np.ndarray | None = dataclasses.field(default=None, compare=False)
    label: str = LABEL

    def to_array(self) -> np.ndarray:
        """The mask as a bool array [height, width]."""
        return decode_rle(self.segmentation)

    def crop(self) -> np.ndarray:
        """The mask inside its box, a bool array [box height, box width]."""
        x, y, width, height = (round(side) for side in self.bbox)
        return np.ascontiguousarray(self.to_array()[y : y + height, x : x + width])


def masks_from_arrays(
    masks: np.ndarray,
    scores: list[float],
    facts: list[dict[str, float]],
    labels: list[str] | None = None,
) -> list[Mask]:
    """Builds `Mask` objects; empty masks are left out.

    Args:
        masks: bool or uint8 array [M, height, width].
        scores: M confidences in (0, 1].
        facts: see `Mask.facts`, M dicts.
        labels: M names of classes; None: all are `object`.

    Returns:
        at most M masks, in the order given.
    """
    rles = encode_rle(masks)
    return [
        Mask(
            rle,
            tuple(float(side) for side in coco_mask.toBbox(rle)),  # type: ignore[arg-type]
            int(coco_mask.area(rle)),
            score,
            fact,
            label=label,
        )
        for rle, score, fact, label in zip(
            rles, scores, facts, labels or [LABEL] * len(rles), strict=True
        )
        if coco_mask.area(rle) > 0
    ]
