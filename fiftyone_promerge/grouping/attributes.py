"""Values of single masks, read and written in bulk; each attribute has a record of what made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
from bson import ObjectId
from pymongo import UpdateOne

from fiftyone_promerge.fields import FieldError, check_detections_field, check_field_name
from fiftyone_promerge.fiftyone_internals import root_dataset, write_unseen
from fiftyone_promerge.labels import EMBEDDING
from fiftyone_promerge.provenance import recorded_parameters
from promerge_core import PromergeError
from promerge_core.registry import METHODS

MaskIds = list[tuple[str, str]]
"""Ids of sample and mask."""

_SAMPLES = 100
_WRITES = 5_000


def mask_batches(
    samples: foc.SampleCollection, field: str, names: list[str]
) -> Iterator[tuple[MaskIds, dict[str, list[Any]]]]:
    """Attributes of the masks of a field, those of some hundred samples at a time.

    Args:
        samples: a dataset or view.
        field: holds detections.
        names: the attributes; one that no mask has is None everywhere.

    Returns:
        the ids of sample and mask, and for each attribute its values, all in one order; batch by
        batch.
    """
    check_detections_field(samples, field)
    known = [name for name in names if samples.has_field(f"{field}.detections.{name}")]
    paths = ["id", *(f"{field}.detections.{name}" for name in ("id", *known))]
    all_ids = samples.values("id")
    for at in range(0, len(all_ids), _SAMPLES):
        some = root_dataset(samples).select(all_ids[at : at + _SAMPLES], ordered=True)
        sample_ids, masks, *columns = some.values(paths)
        ids = [
            (sample_id, one)
            for sample_id, own in zip(sample_ids, masks, strict=True)
            for one in own or []
        ]
        values: dict[str, list[Any]] = {name: [None] * len(ids) for name in names}
        for name, column in zip(known, columns, strict=True):
            values[name] = [value for own in column for value in own or []]
        if ids:
            yield ids, values


def read_masks(
    samples: foc.SampleCollection, field: str, names: list[str]
) -> tuple[MaskIds, dict[str, list[Any]]]:
    """Small attributes of all masks of a field.

    Args:
        samples: a dataset or view.
        field: holds detections.
        names: the attributes; one that no mask has is None everywhere.

    Returns:
        the ids of sample and mask, and for each attribute its values, all in one order.

    Raises:
        PromergeError: the field does not hold detections, or holds none.
    """
    ids: MaskIds = []
    values: dict[str, list[Any]] = {name: [] for name in names}
    for some, columns in mask_batches(samples, field, names):
        ids += some
        for name in names:
            values[name] += columns[name]
    if not ids:
        raise PromergeError(f"the field {field!r} has no masks; make some with promerge generate")
    return ids, values


def write_masks(
    samples: foc.SampleCollection,
    field: str,
    kinds: Mapping[str, type[fo.Field]],
    ids: MaskIds,
    values: Mapping[str, Any],
) -> None:
    """Sets attributes of masks, which are found by their ids.

    Args:
        samples: a dataset or view.
        field: holds detections.
        kinds: the type of each attribute that is new to the dataset.
        ids: the ids of sample and mask.
        values: for each attribute a value per mask.
    """
    dataset = root_dataset(samples)
    for name, kind in kinds.items():
        if not dataset.has_field(f"{field}.detections.{name}"):
            dataset.add_sample_field(f"{field}.detections.{name}", kind)
    now = datetime.now(timezone.utc)
    path = f"{field}.detections"

    def update(row: int) -> UpdateOne:
        sample_id, mask_id = ids[row]
        new = {f"{path}.$.{name}": column[row] for name, column in values.items()}
        one = {"_id": ObjectId(sample_id), f"{path}._id": ObjectId(mask_id)}
        return UpdateOne(one, {"$set": {"last_modified_at": now, **new}})

    for at in range(0, len(ids), _WRITES):
        write_unseen(dataset, [update(row) for row in range(at, min(at + _WRITES, len(ids)))])
    dataset.reload()


def check_attribute(samples: foc.SampleCollection, field: str, name: str, key: str) -> Any:
    """Makes sure that an attribute is ours or new.

    Args:
        samples: a dataset or view.
        field: holds detections.
        name: the attribute.
        key: the run that records what made it.

    Returns:
        the recorded config of the run, or None.

    Raises:
        FieldError: somebody else made it, or another run has that key.
    """
    check_detections_field(samples, field)
    check_field_name(name)
    dataset = root_dataset(samples)
    run = dataset.get_run_info(key).config.serialize() if key in dataset.list_runs() else None
    if run is not None and run.get("attribute") == f"{field}.{name}":
        return run
    path = f"{field}.detections.{name}"
    # An attribute need not be declared to be there.
    is_there = (
        dataset.has_field(path)
        or dataset.mongo([{"$match": {path: {"$exists": True}}}]).limit(1).count()
    )
    if run is not None or is_there:
        raise FieldError(
            f"{name!r} of the masks in {field!r} was not made here and is not replaced; "
            f"choose another name"
        )
    return None


def is_made_here(samples: foc.SampleCollection, field: str, name: str) -> bool:
    """Whether `claim` recorded an attribute as ours.

    Args:
        samples: a dataset or view.
        field: holds detections.
        name: the attribute.

    Returns:
        False where there is none, and where somebody else made it.
    """
    return f"{field}_{name}" in root_dataset(samples).list_runs()


def claim(samples: foc.SampleCollection, field: str, names: Iterable[str]) -> None:
    """Makes sure that attributes are ours or new, and records that they are ours.

    Args:
        samples: a dataset or view.
        field: holds detections.
        names: the attributes.

    Raises:
        FieldError: somebody else made one; then none is recorded.
    """
    made = {name: check_attribute(samples, field, name, f"{field}_{name}") for name in names}
    for name, run in made.items():
        if run is None:
            record(samples, f"{field}_{name}", field, name)


def record(samples: foc.SampleCollection, key: str, field: str, name: str, **values: Any) -> None:
    """Records what makes an attribute, as a run of the dataset.

    Args:
        samples: a dataset or view.
        key: the run's name.
        field: holds detections.
        name: the attribute.
        **values: what made it, ready for JSON.
    """
    dataset = root_dataset(samples)
    config = dataset.init_run(attribute=f"{field}.{name}", **values)
    dataset.register_run(key, config, overwrite=True)


def vectors_key(label_field: str, embeddings_field: str) -> str:
    """The run that records what made the vectors of a field's masks.

    Args:
        label_field: the field of the masks.
        embeddings_field: the attribute with the vectors.

    Returns:
        its key.
    """
    return f"{label_field}_{embeddings_field}"


def vectors_made_by(
    samples: foc.SampleCollection, label_field: str, embeddings_field: str = EMBEDDING
) -> dict[str, Any]:
    """What made the vectors of a field's masks, or else the masks.

    Args:
        samples: a dataset or view.
        label_field: the field of the masks.
        embeddings_field: the attribute with the vectors.

    Returns:
        `backbone` and `weights`; nothing where nobody knows, or a detector made the masks.
    """
    dataset, key = root_dataset(samples), vectors_key(label_field, embeddings_field)
    if key in dataset.list_runs():
        made = dataset.get_run_info(key).config.serialize()
    else:
        made = recorded_parameters(samples, label_field) or {}
        if made.get("method") not in METHODS:
            return {}
    return {name: made[name] for name in ("backbone", "weights") if name in made}
