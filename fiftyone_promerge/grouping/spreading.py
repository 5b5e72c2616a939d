"""From a few labels of a person to labels of all masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_promerge.labels import LABEL
from promerge_core import PromergeError
from promerge_core.descriptors.clusters import MOST_FITTED
from promerge_core.descriptors.spreading import Learned, learn_labels

from .attributes import write_masks
from .names import NAMED, NO_OBJECT, is_ours
from .vectors import Drawing, VectorBatch, vector_batches

_STATE = ("label", NAMED, "tags")
_KINDS = {
    "label_confidence": fo.FloatField,
    "label_margin": fo.FloatField,
    NAMED: fo.StringField,
}


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
    drawing, few, labels = Drawing(MOST_FITTED), [], []
    for batch in vector_batches(samples, label_field, embeddings_field, _STATE):
        drawing.add(batch.vectors)
        for vector, (label, named, tags) in zip(batch.vectors, _states(batch), strict=True):
            if _teaches(label, named, tags):
                few.append(vector)
                labels.append(label)
    learned = learn_labels(np.array(few), labels, drawing.drawn)
    counts = [
        _write(samples, label_field, batch, learned, threshold)
        for batch in vector_batches(samples, label_field, embeddings_field, _STATE)
    ]
    sure, doubtful = (sum(column) for column in zip(*counts, strict=True))
    return SpreadSummary(len(few), sure, doubtful, learned.method, learned.scores)


def _states(batch: VectorBatch) -> Iterator[tuple[Any, ...]]:
    """Label, given name and tags of each mask."""
    return zip(*(batch.values[name] for name in _STATE), strict=True)


def _teaches(label: str | None, named: str | None, tags: list[str] | None) -> bool:
    """Whether a person says what the mask shows."""
    told = not is_ours(label, named, tags) and NO_OBJECT not in (tags or [])
    return told and label not in (None, LABEL)


def _write(
    samples: foc.SampleCollection,
    field: str,
    batch: VectorBatch,
    learned: Learned,
    threshold: float,
) -> tuple[int, int]:
    """Writes the labels of one batch; how many masks got one, and how many did not."""
    chosen = [
        row
        for row, (label, named, tags) in enumerate(_states(batch))
        if is_ours(label, named, tags) and NO_OBJECT not in (tags or [])
    ]
    if not chosen:
        return 0, 0
    guess = learned.guess(batch.vectors[chosen])
    sure = guess.confidence >= threshold
    names = [str(label) if one else None for label, one in zip(guess.label, sure, strict=True)]
    columns = {
        "label": [name or LABEL for name in names],
        NAMED: names,
        "label_confidence": guess.confidence.tolist(),
        "label_margin": guess.margin.tolist(),
    }
    write_masks(samples, field, _KINDS, [batch.ids[row] for row in chosen], columns)
    return int(sure.sum()), int((~sure).sum())


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
