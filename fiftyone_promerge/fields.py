"""Fields of labels, and datasets, by their names: which may be read, and which written."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.fields as fof

from promerge_core import PromergeError
from promerge_core.errors import CocoError


class FieldError(PromergeError):
    """A label field cannot hold the masks; the message says why and what to do."""


def open_dataset(name: str) -> fo.Dataset:
    """The FiftyOne dataset of that name.

    Raises:
        PromergeError: there is none.
    """
    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "none"
        raise PromergeError(f"there is no FiftyOne dataset {name!r}; there are: {known}")
    return fo.load_dataset(name)


def detections_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields of a collection that hold detections."""
    return list(samples.get_field_schema(embedded_doc_type=fo.Detections))


def check_field_name(label_field: str) -> None:
    """Makes sure that a field can be called that.

    Raises:
        FieldError: it is no identifier, or begins with an underscore.
    """
    if not label_field.isidentifier() or label_field.startswith("_"):
        raise FieldError(
            f"{label_field!r} is no name for a field; use letters, digits and underscores"
        )


def check_label_field(samples: foc.SampleCollection, label_field: str) -> None:
    """Makes sure that masks can be written into a field, which may not exist yet.

    Args:
        samples: a dataset or view.
        label_field: the field.

    Raises:
        FieldError: the name is none for a field, or the field holds something else.
    """
    check_field_name(label_field)
    field = samples.get_field(label_field)
    if field is not None and _content(field) != fo.Detections.__name__:
        raise FieldError(
            f"the field {label_field!r} holds {_content(field)}, not Detections; "
            f"choose another field"
        )


def check_detections_field(samples: foc.SampleCollection, field: str) -> None:
    """Makes sure that labels can be read from a field.

    Args:
        samples: a dataset or view.
        field: the field.

    Raises:
        CocoError: there is no such field, or it does not hold `fo.Detections` of images.
    """
    schema = samples.get_field_schema(flat=False)
    if field not in schema:
        known = ", ".join(detections_fields(samples)) or "none"
        raise CocoError(f"There is no field '{field}'; the fields of Detections are: {known}")
    if _content(schema[field]) != fo.Detections.__name__:
        raise CocoError(f"Field '{field}' holds {_content(schema[field])}, not Detections")


def _content(field: fof.Field) -> str:
    """What a field holds: the name of the label's class, or of the field's own."""
    return str(getattr(field, "document_type", type(field)).__name__)
