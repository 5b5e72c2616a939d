"""The input of a form that chooses a field of masks."""

from __future__ import annotations

import fiftyone.core.collections as foc

from fiftyone_promerge.fields import check_detections_field, detections_fields
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.provenance import recorded_run


def masks_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields of detections, those whose masks were made here first."""
    fields = detections_fields(samples)
    return sorted(fields, key=lambda field: recorded_run(samples, field) is None)


def ask_masks_field(form: Form, samples: foc.SampleCollection) -> str | None:
    """Asks for the field of the masks.

    Args:
        form: gets the value `label_field`.
        samples: a dataset or view.

    Returns:
        the field; None where there is none, or it cannot be read.
    """
    fields = masks_fields(samples)
    field: str | None = form.text(
        "label_field", next(iter(fields), None), fields, label="Masks", required=True
    )
    if field is None:
        return None
    if not form.check("label_field", lambda: check_detections_field(samples, field)):
        return None
    return field
