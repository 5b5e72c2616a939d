"""What the labels of a run can teach: which classes there are, and whether there are masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from promerge_core import Mask
from promerge_core.masks.mask import LABEL

from .records import Record, RecordError

NO_CLASS = -1
"""Number of an instance without a class: an object, but nobody knows what of."""

_LONGEST = 100
_SHOWN = 20


class Labelling(NamedTuple):
    """What a detector learns to tell.

    Attributes:
        classes: names of the classes; None: all objects count as one.
        has_masks: whether it learns masks; if not, it gives boxes.
    """

    classes: tuple[str, ...] | None = None
    has_masks: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each class that is predicted."""
        return (LABEL,) if self.classes is None else self.classes

    def numbers(self, instances: Sequence[Mask]) -> np.ndarray:
        """The class of each instance: int64 [N], from 1, or `NO_CLASS`."""
        if self.classes is None:
            return np.ones(len(instances), np.int64)
        known = {name: number for number, name in enumerate(self.classes, 1)}
        found = [known.get(one.label, NO_CLASS) for one in instances]
        return np.array(found, np.int64)


CLASS_AGNOSTIC = Labelling()
"""All objects count as one class, and have masks."""


def labelling_of(records: Iterable[Record], *, by_class: bool) -> tuple[Labelling, Counter[str]]:
    """What the labels of a run can teach.

    Args:
        records: images and labels.
        by_class: whether their classes are told apart.

    Returns:
        it, and how many instances each class has; those that are still called `object` have none.

    Raises:
        RecordError: classes are to be told apart, and no instance has one, or a class has a name
            that is none.
    """
    counts: Counter[str] = Counter()
    has_masks = False
    for record in records:
        has_masks = has_masks or bool(record.masks)
        if by_class:
            counts.update(mask.label for mask in record.instances)
        elif has_masks:
            break
    if not by_class:
        return Labelling(None, has_masks), counts
    names = sorted(name for name in counts if name != LABEL)
    if not names:
        raise RecordError(
            f"none of the {counts.total()} labels names a class, all are called {LABEL!r}: name "
            f"some, or train without classes"
        )
    for name in names:
        if not (name.strip() and name.isprintable() and len(name) <= _LONGEST):
            raise RecordError(
                f"a class must have a name of 1 to {_LONGEST} printable characters; one has "
                f"{len(name)}: {name[:_SHOWN]!r}"
            )
    return Labelling(tuple(names), has_masks), counts
