"""Names for groups of masks; what a person labelled is never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc

from fiftyone_promerge.labels import LABEL
from promerge_core import PromergeError

from .attributes import claim, is_made_here, read_masks, write_masks

NO_OBJECT = "not_object"
"""The tag of masks that are no objects."""

NAMED = "named"
"""The attribute that holds the name we gave a mask: a label that differs is a person's."""

GUESS = ("label_confidence", "label_margin")
"""The attributes of a label that `spread_labels` gave; a label of a group's name has none."""

_LONGEST = 100


def is_ours(label: str | None, named: str | None, tags: list[str] | None) -> bool:
    """Whether a mask's label may be changed: it is as we made it, and no person tagged it.

    Args:
        label: the mask's label.
        named: the name that we gave it, or None.
        tags: its tags.

    Returns:
        False where a person set or confirmed the label.
    """
    return label in (None, LABEL, named) and not set(tags or []) - {NO_OBJECT}


def name_groups(
    samples: foc.SampleCollection, label_field: str, names: Mapping[int, str | None]
) -> dict[str, int]:
    """Gives the masks of groups their names as `label`.

    Masks that a person labelled or tagged stay as they are; labels of `spread_labels` do not. `-`
    or None says that a group's masks are no objects: they keep the label `object` and get the tag
    `not_object`.

    Args:
        samples: a dataset or view whose masks have groups, see `group_masks`.
        label_field: the field of the masks.
        names: group -> name; several groups can have one name.

    Returns:
        the number of masks that got each name.

    Raises:
        PromergeError: a group is unknown, a name is empty or longer than 100 characters, or the
            attribute `named` was not made here.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge")
        >>> done = fop.embed_masks(photos, "promerge", backbone="embedded")
        >>> done = fop.group_masks(photos, "promerge", method="kmeans", groups=2)
        >>> fop.name_groups(photos, "promerge", {1: "cup"})
        {'cup': 1}
    """
    ids, values = read_masks(samples, label_field, ["group", "label", NAMED, "tags"])
    check_groups(names, values["group"], label_field)
    for name in names.values():
        check_name(name)
    claim(samples, label_field, [NAMED])
    chosen: list[int] = []
    new: dict[str, list[Any]] = {"label": [], NAMED: [], "tags": []}
    guesses = [name for name in GUESS if is_made_here(samples, label_field, name)]
    counts: dict[str, int] = {}
    for row, group in enumerate(values["group"]):
        label, named, tags = (values[key][row] for key in ("label", NAMED, "tags"))
        if group not in names or not is_ours(label, named, tags):
            continue
        name = names[group]
        is_object = name not in ("-", None)
        chosen.append(row)
        new["label"].append(name if is_object else LABEL)
        new[NAMED].append(name if is_object else None)
        new["tags"].append([] if is_object else [NO_OBJECT])
        counts[name or "-"] = counts.get(name or "-", 0) + 1
    new |= {name: [None] * len(chosen) for name in guesses}
    write_masks(samples, label_field, {NAMED: fo.StringField}, [ids[row] for row in chosen], new)
    return counts


def check_groups(groups: Iterable[int], own: Iterable[int | None], label_field: str) -> None:
    """Makes sure that masks have some groups.

    Args:
        groups: those asked for.
        own: the groups of the masks, None of masks without one.
        label_field: the field of the masks.

    Raises:
        PromergeError: a group is unknown.
    """
    known = set(own) - {None}
    for group in groups:
        if group not in known:
            numbers = sorted(number for number in known if number is not None)
            listed = ", ".join(map(str, numbers)) or "none; use promerge group first"
            raise PromergeError(
                f"there is no group {group} in {label_field!r}; there are: {listed}"
            )


def check_name(name: str | None) -> None:
    """Makes sure that a group can be called that.

    Raises:
        PromergeError: it is empty or longer than 100 characters, or has some that do not print.
    """
    if name is not None and (not name.strip() or len(name) > _LONGEST or not name.isprintable()):
        raise PromergeError(
            f"a name must have 1 to {_LONGEST} printable characters; got {len(name)}: {name[:20]!r}"
        )
