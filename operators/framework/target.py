"""The first lines of a form: what will be done, and to which samples."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.app.scheduled import scheduled_runs
from fiftyone_promerge.app.targets import count_target, labels_there

from .forms import Form

Describe = Callable[[foc.SampleCollection], str]
"""Says what will be done to samples, in one line."""


def ask_target(ctx: foo.ExecutionContext, form: Form, describe: Describe) -> None:
    """Puts before all else what will be done, and the choice of the samples that it is done to.

    FiftyOne hides the choice where there is but one; here it says how much there is to do.

    Args:
        ctx: the operator's context.
        form: the form, which has all its other inputs.
        describe: says what will be done to samples.
    """
    first = types.Object()
    first.view("will_do", types.Notice(label=describe(ctx.target_view(require_flat=True))))
    view = ctx.flatten_group_slices(ctx.view)
    choice = first.view_target(
        ctx,
        require_flat=True,
        view_type=lambda label: types.RadioGroup(label="Images", orientation="vertical"),
        dataset_label="Whole dataset",
        dataset_description=describe(ctx.flatten_group_slices(ctx.dataset)),
        current_view_description=describe(view),
        selected_samples_label="Selected samples",
        selected_samples_description=describe(view.select(ctx.selected)),
    )
    choice.view = choice.options.choices_view
    form.inputs.properties = {**first.properties, **form.inputs.properties}


def tell_scheduled(form: Form, dataset: fo.Dataset) -> None:
    """Says above all else what the scheduled runs on a dataset do, where there are any.

    Args:
        form: the form, which has all its inputs.
        dataset: the dataset.
    """
    lines = scheduled_runs(dataset)
    if lines:
        told = types.Property(types.Void(), view=types.Warning(label=" ".join(lines)))
        form.inputs.properties = {"scheduled": told, **form.inputs.properties}


def ask_labels_target(ctx: foo.ExecutionContext, form: Form, field: str | None) -> None:
    """Puts first how many images have labels to read, see `ask_target`.

    Args:
        ctx: the operator's context.
        form: the form, which has all its other inputs.
        field: the field of the labels; None where none is chosen yet.
    """
    name = field or "any field"
    ask_target(ctx, form, lambda samples: labels_there(count_target(samples, field), name))
