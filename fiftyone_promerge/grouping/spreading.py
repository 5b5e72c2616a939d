"""From a few labels of a person to labels of all masks."""

from __future__ import annotations

from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_promerge.labels import LABEL
from promerge_core import PromergeError
from promerge_core.descriptors.spreading import spread

from .attributes import read_masks, read_vectors, write_masks
from .names import NAMED, NO_OBJECT, is_ours


class SpreadSummary(NamedTuple):
    """What was learned and done.

    Attributes:
        labelled: masks whose label a person set.
        spread: masks that got a label.
        doubtful: masks that stayed `object`.
        method: the chosen classifier.
        scores: balanced accuracy in cross-validation by classifier.
    """

    labelled: int
    spread: int
    doubtful: int
    method: str
    scores: dict[str, float]


def spread_labels(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    *,
    threshold: float = 0.5,
    embeddings_field: str = "embedding",
) -> SpreadSummary:
    """Gives all masks a label, learned from those whose label a person set.

    Logistic regression or nearest neighbours, whichever does better in cross-validation. Each mask
    gets `label_confidence` and `label_margin`; labels of a person stay as they are.

    Args:
        samples: a dataset or view whose masks have vectors, see `embed_masks`.
        label_field: the field of the masks.
        threshold: masks with a lower confidence, from 0 to 1, stay `object`.
        embeddings_field: the attribute with the vectors.

    Returns:
        counts, and how the classifier was chosen.

    Raises:
        PromergeError: a person set fewer than two labels, or masks have no vectors.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge")
        >>> done = fop.embed_masks(photos, "promerge", backbone="embedded")
        >>> sample = photos.match({"promerge.detections.1": {"$exists": True}}).first()
        >>> sample.promerge.detections[0].label = "cup"
        >>> sample.promerge.detections[1].label = "table"
        >>> sample.save()
        >>> fop.spread_labels(photos, "promerge").labelled
        2
    """
    if not 0 <= threshold <= 1:
        raise PromergeError(f"threshold must be between 0 and 1; got {threshold}")
    ids, vectors = read_vectors(samples, label_field, embeddings_field)
    every, values = read_masks(samples, label_field, ["label", NAMED, "tags"])
    rows = {one: row for row, one in enumerate(every)}
    states = [tuple(values[name][rows[one]] for name in ("label", NAMED, "tags")) for one in ids]
    ours = [is_ours(*state) for state in states]
    known = [
        row
        for row, (label, _, tags) in enumerate(states)
        if not ours[row] and label not in (None, LABEL) and NO_OBJECT not in (tags or [])
    ]
    found = spread(vectors, np.array(known, int), [states[row][0] for row in known])
    chosen = [row for row, (_, _, tags) in enumerate(states) if ours[row] and NO_OBJECT not in tags]
    sure = [bool(found.confidence[row] >= threshold) for row in chosen]
    names = [
        str(found.label[row]) if is_sure else None
        for row, is_sure in zip(chosen, sure, strict=True)
    ]
    columns: dict[str, Any] = {
        "label": [name or LABEL for name in names],
        NAMED: names,
        "label_confidence": found.confidence[chosen].tolist(),
        "label_margin": found.margin[chosen].tolist(),
    }
    kinds = {
        "label_confidence": fo.FloatField,
        "label_margin": fo.FloatField,
        NAMED: fo.StringField,
    }
    write_masks(samples, label_field, kinds, [ids[row] for row in chosen], columns)
    return SpreadSummary(len(known), sum(sure), len(sure) - sum(sure), found.method, found.scores)


def doubtful_masks(samples: foc.SampleCollection, label_field: str = "promerge") -> fo.DatasetView:
    """The masks to be labelled next: a patches view, the most doubtful first.

    Args:
        samples: a dataset or view after `spread_labels`.
        label_field: the field of the masks.

    Returns:
        the masks that `spread_labels` judged, by ascending `label_margin`.

    Raises:
        PromergeError: labels have not been spread.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> fop.doubtful_masks(demo_dataset(), "promerge")
        Traceback (most recent call last):
        ...
        promerge_core.errors.PromergeError: ...
    """
    if not samples.has_field(f"{label_field}.detections.label_margin"):
        raise PromergeError(f"the masks in {label_field!r} have no label_margin; use spread_labels")
    judged = samples.filter_labels(label_field, fo.ViewField("label_margin") != None)  # noqa: E711
    return judged.to_patches(label_field).sort_by(f"{label_field}.label_margin")
