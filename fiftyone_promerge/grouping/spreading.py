"""From a few labels of a person to labels of all masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_promerge.labels import EMBEDDING, LABEL
from promerge_core import PromergeError
from promerge_core.descriptors.clusters import MOST_FITTED
from promerge_core.descriptors.spreading import Learned, learn_labels
from promerge_core.options import SpreadOptions
from promerge_core.parameters import takes

from .attributes import claim, write_masks
from .names import GUESS, NAMED, NO_OBJECT, is_ours
from .vectors import Drawing, VectorBatch, vector_batches

_STATE = ("label", NAMED, "tags", GUESS[0])
_KINDS = {NAMED: fo.StringField, **dict.fromkeys(GUESS, fo.FloatField)}


class SpreadSummary(NamedTuple):
    """What was learned and done.

    Attributes:
        labelled: masks whose label was learned from.
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


@takes(SpreadOptions)
def spread_labels(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    *,
    embeddings_field: str = EMBEDDING,
    **options: Any,
) -> SpreadSummary:
    """Gives masks without a label one, learned from those whose label a person set.

    Logistic regression or nearest neighbours, whichever does better in cross-validation. Each of
    those masks gets `label_confidence` and `label_margin`. Labels of a person stay as they are, and
    so do the names that `name_groups` gave; what was spread before is done again.

    Args:
        samples: a dataset or view whose masks have vectors, see `embed_masks`.
        label_field: the field of the masks.
        embeddings_field: the attribute with the vectors.
        **options: see `promerge_core.options.SpreadOptions`.

    Returns:
        counts, and how the classifier was chosen.

    Raises:
        PromergeError: a person set fewer than two labels, masks have no vectors, an option is out
            of its range, or an attribute that would be written was not made here.

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
    chosen = SpreadOptions(**options)
    drawing, few, labels = Drawing(MOST_FITTED), [], []
    for batch in vector_batches(samples, label_field, embeddings_field, _STATE):
        drawing.add(batch.vectors)
        for vector, state in zip(batch.vectors, _states(batch), strict=True):
            if state.is_persons or (chosen.from_names and state.is_groups):
                few.append(vector)
                labels.append(str(state.label))
    learned = learn_labels(np.array(few), labels, drawing.drawn)
    claim(samples, label_field, [NAMED, *GUESS])
    counts = [
        _write(samples, label_field, batch, learned, chosen.threshold)
        for batch in vector_batches(samples, label_field, embeddings_field, _STATE)
    ]
    sure, doubtful = (sum(column) for column in zip(*counts, strict=True))
    return SpreadSummary(len(few), sure, doubtful, learned.method, learned.scores)


class _State(NamedTuple):
    """What is known of a mask's label, in the order of `_STATE`."""

    label: str | None
    named: str | None
    tags: list[str] | None
    confidence: float | None

    @property
    def is_object(self) -> bool:
        return NO_OBJECT not in (self.tags or [])

    @property
    def is_ours(self) -> bool:
        return is_ours(self.label, self.named, self.tags)

    @property
    def is_persons(self) -> bool:
        """Whether a person says what the mask shows."""
        return self.is_object and not self.is_ours and self.label not in (None, LABEL)

    @property
    def is_groups(self) -> bool:
        """Whether the label is the name of the mask's group."""
        named = self.named is not None and self.label == self.named
        return self.is_object and self.is_ours and named and self.confidence is None


def _states(batch: VectorBatch) -> Iterator[_State]:
    return (_State(*one) for one in zip(*(batch.values[name] for name in _STATE), strict=True))


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
        for row, state in enumerate(_states(batch))
        if state.is_object and state.is_ours and not state.is_groups
    ]
    if not chosen:
        return 0, 0
    guess = learned.guess(batch.vectors[chosen])
    sure = guess.confidence >= threshold
    names = [str(label) if one else None for label, one in zip(guess.label, sure, strict=True)]
    columns = {
        "label": [name or LABEL for name in names],
        NAMED: names,
        **dict(zip(GUESS, (guess.confidence.tolist(), guess.margin.tolist()), strict=True)),
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
