"""Groups that a person puts together."""

from __future__ import annotations

from collections.abc import Mapping

import fiftyone as fo
import fiftyone.core.collections as foc

from promerge_core import PromergeError

from .attributes import read_masks, write_masks
from .names import check_groups


def merge_groups(samples: foc.SampleCollection, label_field: str, pairs: Mapping[int, int]) -> int:
    """Puts the masks of groups into other groups; labels stay as they are.

    Args:
        samples: a dataset or view whose masks have groups, see `group_masks`.
        label_field: the field of the masks.
        pairs: group -> the group that its masks join, which may itself join another one.

    Returns:
        the number of masks that are in another group now.

    Raises:
        PromergeError: a group is unknown, or groups join one another in a circle.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge", embeddings=True)
        >>> done = fop.group_masks(photos, "promerge", method="kmeans", groups=2)
        >>> fop.merge_groups(photos, "promerge", {1: 0})
        1
    """
    ids, values = read_masks(samples, label_field, ["group"])
    check_groups([*pairs, *pairs.values()], values["group"], label_field)
    targets = {group: _end(group, pairs) for group in pairs}
    chosen = [row for row, group in enumerate(values["group"]) if group in targets]
    joined = {"group": [targets[values["group"][row]] for row in chosen]}
    write_masks(samples, label_field, {"group": fo.IntField}, [ids[row] for row in chosen], joined)
    return len(chosen)


def _end(group: int, pairs: Mapping[int, int]) -> int:
    passed = [group]
    while group in pairs:
        group = pairs[group]
        if group in passed:
            circle = ", ".join(map(str, passed))
            raise PromergeError(f"the groups {circle} join one another; leave out one of them")
        passed.append(group)
    return group
