"""Which fields are compared where nobody has said it, and on which images."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone.core.collections as foc

from fiftyone_promerge.app.targets import Target, count_target
from fiftyone_promerge.fields import detections_fields
from fiftyone_promerge.provenance import recorded_run

_USUAL = "ground_truth"


def ground_truth_field(samples: foc.SampleCollection, others: Sequence[str] = ()) -> str | None:
    """The field that is taken for ground truth.

    Args:
        samples: a dataset or view.
        others: fields that are to be judged, and so are none.

    Returns:
        `ground_truth` where there is one; else the only field of detections that was not made
        here; else the only one; None where there is none or a person has to choose.
    """
    fields = [field for field in detections_fields(samples) if field not in others]
    if _USUAL in fields:
        return _USUAL
    foreign = [field for field in fields if recorded_run(samples, field) is None]
    for candidates in (foreign, fields):
        if len(candidates) == 1:
            return candidates[0]
    return None


def predicted_field(samples: foc.SampleCollection) -> str | None:
    """The field that is judged: the last one made here, else the last that is no ground truth.

    Where there is but one field, it is that one.
    """
    fields = detections_fields(samples)
    made_here = [field for field in fields if recorded_run(samples, field) is not None]
    ours = [field for field in made_here if field != _USUAL]
    truth = ground_truth_field(samples, ours)
    others = [field for field in fields if field != truth]
    return next(reversed(ours or others or fields), None)


def unlabelled(samples: foc.SampleCollection, field: str) -> tuple[Target, int]:
    """How many samples count as missed because a field has no label there.

    Args:
        samples: a dataset or view.
        field: the predictions. A sample that was done and has no masks has an empty label.

    Returns:
        the counts of samples with and without a label, and the number of those without.
    """
    target = count_target(samples, field)
    return target, 0 if target.done is None else target.samples - target.done


def missed_warning(samples: foc.SampleCollection, field: str) -> str | None:
    """Says that a field was not made for all samples, whose objects then count as missed.

    Args:
        samples: a dataset or view.
        field: the predictions.

    Returns:
        one sentence; None where the field was made for all samples.
    """
    target, missing = unlabelled(samples, field)
    if not missing:
        return None
    return (
        f"{field} was made for {target.done:,} of {target.counted}; the objects of the other "
        f"{missing:,} count as missed"
    )
