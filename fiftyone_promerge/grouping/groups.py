"""Groups of masks that look alike."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_promerge.labels import EMBEDDING
from promerge_core.descriptors.clusters import MOST_FITTED, Groups, fit_groups
from promerge_core.options import GroupOptions
from promerge_core.parameters import takes

from .attributes import MaskIds, check_attribute, record, write_masks
from .vectors import Drawing, vector_batches

logger = logging.getLogger(__name__)


@takes(GroupOptions)
def group_masks(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    *,
    embeddings_field: str = EMBEDDING,
    announce: Callable[[str], object] = logger.warning,
    **options: Any,
) -> dict[int, int]:
    """Groups masks by their vectors: writes `group` and `group_confidence`, and no label.

    The groups of at most 10,000 masks, drawn at random, are found; the others join the nearest.

    Args:
        samples: a dataset or view whose masks have vectors, see `embed_masks`.
        label_field: the field of the masks.
        embeddings_field: the attribute with the vectors.
        announce: is told where HDBSCAN finds no groups, and all masks are in one.
        **options: see `promerge_core.options.GroupOptions`.

    Returns:
        the number of masks in each group, the largest first.

    Raises:
        FieldError: masks have a `group` that was not made here.
        PromergeError: there are fewer than two vectors, all are equal, or one is not finite.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge")
        >>> done = fop.embed_masks(photos, "promerge", backbone="embedded")
        >>> fop.group_masks(photos, "promerge", method="kmeans", groups=2)
        {0: 4, 1: 1}
    """
    key, method = f"{label_field}_group", options["method"]
    check_attribute(samples, label_field, "group", key)
    drawing = Drawing(MOST_FITTED)
    for batch in vector_batches(samples, label_field, embeddings_field):
        drawing.add(batch.vectors)
    fitted = fit_groups(drawing.drawn, **options)
    ids: MaskIds = []
    parts: list[Groups] = []
    for batch in vector_batches(samples, label_field, embeddings_field):
        ids += batch.ids
        parts.append(fitted.assign(batch.vectors))
    found = Groups(*(np.concatenate(column) for column in zip(*parts, strict=True))).by_size()
    if method == "hdbscan" and len(fitted.members) == 1:
        announce(
            f"hdbscan found no groups among the {len(ids)} masks, so all are in group 0; "
            f"kmeans makes groups of any masks"
        )
    record(samples, key, label_field, "group", method=method, embeddings_field=embeddings_field)
    columns = {"group": found.group.tolist(), "group_confidence": found.confidence.tolist()}
    write_masks(
        samples,
        label_field,
        {"group": fo.IntField, "group_confidence": fo.FloatField},
        ids,
        columns,
    )
    return dict(enumerate(np.bincount(found.group).tolist()))
