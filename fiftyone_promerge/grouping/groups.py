"""Groups of masks that look alike."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from promerge_core.descriptors.clusters import find_groups, reduce_vectors

from .attributes import check_attribute, read_vectors, record, write_masks

_SAMPLE = 20_000


def group_masks(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    *,
    method: str = "hdbscan",
    groups: int | None = None,
    embeddings_field: str = "embedding",
) -> dict[int, int]:
    """Groups masks by their vectors: writes `group` and `group_confidence`, and no label.

    Args:
        samples: a dataset or view whose masks have vectors, see `embed_masks`.
        label_field: the field of the masks.
        method: `hdbscan` finds the number of groups; `kmeans` makes as many as it is told.
        groups: how many there are, for `kmeans`; None finds out.
        embeddings_field: the attribute with the vectors.

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
    key = f"{label_field}_group"
    check_attribute(samples, label_field, "group", key)
    ids, vectors = read_vectors(samples, label_field, embeddings_field)
    if len(vectors) > 1 and np.isfinite(vectors).all():
        some = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
        vectors = reduce_vectors(vectors[some], vectors)
    found = find_groups(vectors, method, groups)
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
