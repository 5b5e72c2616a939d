"""The groups of a field as the panel shows them: a strip of pictures and what it is called."""

from __future__ import annotations

import functools
from typing import NamedTuple

import fiftyone as fo
import numpy as np

from fiftyone_promerge.grouping.examples import GroupRow, cut_out, group_rows
from fiftyone_promerge.operators.framework.outputs import data_uri

_EXAMPLES = 6
_SIDE, _GAP = 88, 4


class Strip(NamedTuple):
    """A group and its most typical masks side by side.

    Attributes:
        row: the group.
        picture: the masks, as the URI of a picture.
    """

    row: GroupRow
    picture: str


@functools.lru_cache(maxsize=4)
def strips(dataset: str, field: str, stamp: str) -> list[Strip]:
    """The groups of a dataset's field; the panel draws them again at each click.

    Args:
        dataset: the dataset's name.
        field: the field of the masks.
        stamp: another one makes the pictures again.

    Returns:
        the groups by their numbers.

    Raises:
        PromergeError: there are no masks, or none has a group.
    """
    samples = fo.load_dataset(dataset)
    rows = group_rows(samples, field, _EXAMPLES)
    pictures = cut_out(samples, field, [one for row in rows for one in row.typical], _SIDE)
    return [Strip(row, data_uri(_side_by_side(row, pictures))) for row in rows]


def _side_by_side(row: GroupRow, pictures: dict[str, np.ndarray]) -> np.ndarray:
    strip = np.full((_SIDE, _EXAMPLES * (_SIDE + _GAP), 3), 255, np.uint8)
    shown = [pictures[mask_id] for _, mask_id in row.typical if mask_id in pictures]
    for place, picture in enumerate(shown):
        left = place * (_SIDE + _GAP)
        strip[:, left : left + _SIDE] = picture
    return strip
