"""Everything we use that FiftyOne keeps to itself: each name once, with the reason for it.

All of it was seen in FiftyOne 1.22. A test per name fails where FiftyOne changes one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.models as fom
import fiftyone.core.odm as foo
import fiftyone.core.utils as fou
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne


def root_dataset(samples: foc.SampleCollection) -> fo.Dataset:
    """The dataset that samples are of; that of a patches view is the one the patches are cut from.

    `_root_dataset`, because a view says in public only its dataset's name. `fo.load_dataset` makes
    a second object of a name where `fo.config.singleton_cache` is off, as in the App's server; the
    caller's object would then not know of new fields and runs.
    """
    return samples._root_dataset


def is_generated(samples: foc.SampleCollection) -> bool:
    """Whether the samples are made of others, as patches and the frames of videos are.

    `_is_generated`, because a list of the public classes of such views would miss the ones that
    FiftyOne adds, and their masks would be written to samples that do not exist.
    """
    return bool(samples._is_generated)


def serialized_view(view: fo.DatasetView) -> list[dict[str, Any]]:
    """A view as the App takes it.

    `_serialize`, because `ctx.ops.set_view` shows a view at once, and a button that a person may
    press later needs its parameters.
    """
    return list(view._serialize())


class ApplyModelCall(NamedTuple):
    """Arguments of `apply_model` that FiftyOne does not tell the model.

    Attributes:
        samples: what the model is applied to.
        label_field: the field for its labels.
        skip_failures: whether an image that cannot be read is skipped.
        arguments: all other arguments by name.
    """

    samples: foc.SampleCollection
    label_field: str
    skip_failures: bool
    arguments: Mapping[str, Any] = {}


def current_apply_model_call() -> ApplyModelCall | None:
    """The call of FiftyOne's `apply_model` that the caller runs in, or None.

    The frame of `fiftyone.core.models.apply_model` and the names of its arguments, because a model
    is told neither for which samples and which field it works, nor whether failures may be
    skipped; it needs them for the record of the run and for patches.
    """
    code = fom.apply_model.__code__
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    if frame is None:
        return None
    values = {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]}
    samples, field, skip = map(values.pop, ("samples", "label_field", "skip_failures"))
    return ApplyModelCall(samples, field, skip, values)


def write_samples(samples: foc.SampleCollection, updates: Mapping[str, UpdateOne]) -> None:
    """Writes to the documents of samples, and reloads those that are held in memory.

    `_bulk_write` of `_dataset`, because `set_values` builds and checks a FiftyOne document for
    every label, which takes twenty times as long, and can append nothing to a list.

    Args:
        samples: a dataset or view that holds the samples; of patches, the patches are written to.
        updates: the write by the sample's id.

    Raises:
        ValueError: the database refuses a write.
    """
    if updates:
        samples._dataset._bulk_write(list(updates.values()), ids=list(updates))


def write_unseen(dataset: fo.Dataset, updates: Sequence[UpdateOne]) -> None:
    """Writes to the documents of samples; those held in memory are old until `dataset.reload()`.

    `_sample_collection`, because `_bulk_write` reloads the samples in memory after each call. A
    caller that writes batch after batch, in a thread beside the one that reads samples, has them
    reloaded once at its end.

    Args:
        dataset: a dataset.
        updates: the writes.

    Raises:
        ValueError: the database refuses a write.
    """
    if updates:
        foo.bulk_write(list(updates), dataset._sample_collection, ordered=False)


def label_class(field: str, kind: type[fo.Label]) -> dict[str, str]:
    """What the database holds beside a label's values: without it the field cannot be read.

    `_cls`, because FiftyOne writes it only with a whole label, and `$push` writes to a part.

    Args:
        field: the label's field.
        kind: the label's class.

    Returns:
        the class's name by its path in the sample's document.
    """
    return {f"{field}._cls": kind.__name__}


def detections_document(
    detections: Iterable[Mapping[str, Any]], **attributes: Any
) -> dict[str, Any]:
    """What the database holds of a label of detections with masks.

    The keys and values of FiftyOne's documents (`_id`, `_cls`, the encoding of `mask`), because
    making a `fo.Detection` of each mask takes as long as encoding the masks.

    Args:
        detections: the values of each: `bounding_box`, `mask` (bool [h, w]) and any others;
            arrays are written as FiftyOne writes masks and vectors.
        attributes: the label's own.

    Returns:
        the document, with new ids.
    """
    document: dict[str, Any] = fo.Detections(**attributes).to_dict()
    document["detections"] = [
        {
            **_empty_detection(),
            "_id": ObjectId(),
            **{
                name: fou.serialize_numpy_array(value) if isinstance(value, np.ndarray) else value
                for name, value in values.items()
            },
        }
        for values in detections
    ]
    return document


@functools.cache
def _empty_detection() -> dict[str, Any]:
    return fo.Detection().to_dict()
