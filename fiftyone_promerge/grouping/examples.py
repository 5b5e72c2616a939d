"""What a group looks like: its most typical and its most doubtful masks, cut out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_promerge.fiftyone_internals import root_dataset
from fiftyone_promerge.labels import LABEL, detection_to_mask
from promerge_core import ImageError, PromergeError, open_image

from .attributes import MaskIds, read_masks
from .names import NO_OBJECT

_MARGIN = 0.25
_GROUND = 255
"""What lies outside the mask is mixed with white, as is what lies outside the image."""


class GroupRow(NamedTuple):
    """A group and its examples.

    Attributes:
        group: its number.
        masks: how many masks it has.
        name: the label that most of them have, `-` where they are no objects, None where they have
            none.
        typical: ids of sample and mask, the largest `group_confidence` first.
        doubtful: ids of others, the smallest `group_confidence` first.
    """

    group: int
    masks: int
    name: str | None
    typical: MaskIds
    doubtful: MaskIds


def group_rows(
    samples: foc.SampleCollection, label_field: str, examples: int = 6
) -> list[GroupRow]:
    """The groups of a field's masks, each with its examples.

    Args:
        samples: a dataset or view after `group_masks`.
        label_field: the field of the masks.
        examples: at most so many typical masks of each group, and so many doubtful ones.

    Returns:
        the groups by their numbers.

    Raises:
        PromergeError: there are no masks, or none has a group.
    """
    names = ["group", "group_confidence", "label", "tags"]
    ids, values = read_masks(samples, label_field, names)
    members: dict[int, list[int]] = {}
    for row, group in enumerate(values["group"]):
        if group is not None:
            members.setdefault(group, []).append(row)
    if not members:
        raise PromergeError(f"no mask of {label_field!r} has a group; use promerge group first")
    found = []
    for group, rows in sorted(members.items()):
        rows.sort(key=lambda row: -values["group_confidence"][row])
        called = Counter(_name(values["label"][row], values["tags"][row]) for row in rows)
        typical, rest = rows[:examples], rows[examples:]
        chosen = [[ids[row] for row in part] for part in (typical, rest[::-1][:examples])]
        found.append(GroupRow(group, len(rows), called.most_common(1)[0][0], *chosen))
    return found


def _name(label: str | None, tags: list[str] | None) -> str | None:
    if NO_OBJECT in (tags or []):
        return "-"
    return None if label == LABEL else label


def cut_out(
    samples: foc.SampleCollection, label_field: str, ids: Iterable[tuple[str, str]], side: int
) -> dict[str, np.ndarray]:
    """Cuts masks out of their images, with some of what is around them, which is paler.

    Args:
        samples: the dataset of the masks, or a view of it.
        label_field: the field of the masks.
        ids: ids of sample and mask.
        side: of the pictures, in pixels.

    Returns:
        by the mask's id uint8 [side, side, 3]; masks of images that cannot be read are left out.
    """
    wanted: dict[str, set[str]] = {}
    for sample_id, mask_id in ids:
        wanted.setdefault(sample_id, set()).add(mask_id)
    some = root_dataset(samples).select(list(wanted))
    columns = some.values(["id", "filepath", f"{label_field}.detections"])
    pictures = {}
    for sample_id, path, detections in zip(*columns, strict=True):
        try:
            image = np.asarray(open_image(path))
        except ImageError:
            continue
        height, width = image.shape[:2]
        for one in detections:
            if one.id in wanted[sample_id]:
                mask = detection_to_mask(one, width, height)
                if mask.any():
                    pictures[one.id] = _cut(image, mask, side)
    return pictures


def _cut(image: np.ndarray, mask: np.ndarray, side: int) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    half = int(np.ceil((0.5 + _MARGIN) * longest))
    middle = [round((part[0] + part[-1]) / 2) for part in (rows, columns)]
    (y0, y1), (x0, x1) = [
        (max(at - half, 0), min(at + half + 1, size))
        for at, size in zip(middle, mask.shape, strict=True)
    ]
    square = np.full((2 * half + 1, 2 * half + 1, 3), _GROUND, np.uint8)
    inside = np.zeros(square.shape[:2], np.float32)
    top, left = half - middle[0], half - middle[1]
    place = (slice(y0 + top, y1 + top), slice(x0 + left, x1 + left))
    square[place], inside[place] = image[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    how = cv2.INTER_AREA if len(square) > side else cv2.INTER_LINEAR
    seen = cv2.resize(square, (side, side), interpolation=how)
    share = cv2.resize(inside, (side, side), interpolation=how)[..., None]
    paler = 0.4 * seen + 0.6 * _GROUND
    return np.asarray(share * seen + (1 - share) * paler).round().astype(np.uint8)
