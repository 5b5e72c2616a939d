"""Values of single masks, read and written in bulk; each attribute has a record of what made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne

from fiftyone_promerge.fields import FieldError, check_detections_field, check_field_name
from fiftyone_promerge.fiftyone_internals import root_dataset, write_unseen
from promerge_core import PromergeError

_SAMPLES = 500


def batches(samples: foc.SampleCollection, paths: list[str]) -> Iterator[list[Any]]:
    """The values of samples, some hundred samples at a time.

    Args:
        samples: a dataset or view.
        paths: the values' paths.

    Yields:
        for each path the list of the samples' values.
    """
    ids = samples.values("id")
    for at in range(0, len(ids), _SAMPLES):
        some = root_dataset(samples).select(ids[at : at + _SAMPLES], ordered=True)
        yield some.values(paths)


def read_masks(
    samples: foc.SampleCollection, field: str, names: list[str]
) -> tuple[list[tuple[str, str]], dict[str, list[Any]]]:
    """Attributes of all masks of a field.

    Args:
        samples: a dataset or view.
        field: holds detections.
        names: the attributes; one that no mask has is None everywhere.

    Returns:
        the ids of sample and mask, and for each attribute its values, all in one order.

    Raises:
        PromergeError: the field does not hold detections, or holds none.
    """
    check_detections_field(samples, field)
    known = [name for name in names if samples.has_field(f"{field}.detections.{name}")]
    paths = [f"{field}.detections.{name}" for name in ["id", *known]]
    ids: list[tuple[str, str]] = []
    values: dict[str, list[Any]] = {name: [] for name in names}
    for sample_ids, masks, *columns in batches(samples, ["id", *paths]):
        for row, (sample_id, own) in enumerate(zip(sample_ids, masks, strict=True)):
            ids += [(sample_id, one) for one in own or []]
            for name, column in zip(known, columns, strict=True):
                values[name] += column[row] or []
    if not ids:
        raise PromergeError(f"the field {field!r} has no masks; make some with promerge generate")
    return ids, {name: column or [None] * len(ids) for name, column in values.items()}


def write_masks(
    samples: foc.SampleCollection,
    field: str,
    kinds: Mapping[str, type[fo.Field]],
    ids: list[tuple[str, str]],
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
    updates = [
        UpdateOne(
            {"_id": ObjectId(sample_id), f"{path}._id": ObjectId(mask_id)},
            {
                "$set": {
                    "last_modified_at": now,
                    **{f"{path}.$.{name}": column[row] for name, column in values.items()},
                }
            },
        )
        for row, (sample_id, mask_id) in enumerate(ids)
    ]
    write_unseen(dataset, updates)
    dataset.reload()


def read_vectors(
    samples: foc.SampleCollection, field: str, embeddings_field: str
) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The masks that have a vector, and their vectors.

    Args:
        samples: a dataset or view.
        field: holds detections.
        embeddings_field: the attribute.

    Returns:
        the ids of sample and mask, and float32 [N, D].

    Raises:
        PromergeError: there are no masks, none has a vector, or vectors have different lengths.
    """
    ids, values = read_masks(samples, field, [embeddings_field])
    vectors = values[embeddings_field]
    found = [row for row, vector in enumerate(vectors) if vector is not None]
    if not found:
        raise PromergeError(
            f"no mask of {field!r} has an {embeddings_field!r}; use embed_masks first"
        )
    if len({len(vectors[row]) for row in found}) > 1:
        raise PromergeError(
            f"the vectors in {embeddings_field!r} have different lengths; embed again"
        )
    return [ids[row] for row in found], np.stack([vectors[row] for row in found]).astype(np.float32)


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
    if run is not None or dataset.has_field(f"{field}.detections.{name}"):
        raise FieldError(
            f"{name!r} of the masks in {field!r} was not made here and is not replaced; "
            f"choose another name"
        )
    return None


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
