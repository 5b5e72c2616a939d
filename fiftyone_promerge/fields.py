"""Fields of labels, and datasets by their names."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.fields as fof

from fiftyone_promerge.coco.annotations import check_detections_field
from fiftyone_promerge.generation.generate import check_field_name, check_label_field
from promerge_core import PromergeError


def detections_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields of a collection that hold detections."""
    schema = samples.get_field_schema(
        ftype=fof.EmbeddedDocumentField, embedded_doc_type=fo.Detections
    )
    return list(schema)


def open_dataset(name: str) -> fo.Dataset:
    """The FiftyOne dataset of that name.

    Raises:
        PromergeError: there is none.
    """
    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "none"
        raise PromergeError(f"there is no FiftyOne dataset {name!r}; there are: {known}")
    return fo.load_dataset(name)


__all__ = [
    "check_detections_field",
    "check_field_name",
    "check_label_field",
    "detections_fields",
    "open_dataset",
]
