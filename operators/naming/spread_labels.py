"""The operator `spread_labels`: from a few labels of a person to labels of all masks."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.fiftyone_internals import serialized_view
from fiftyone_promerge.grouping.spreading import doubtful_masks, spread_labels
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.outputs import table
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.operators.framework.target import ask_labels_target
from promerge_core.options import SpreadOptions

from .fields import ask_masks_field


class SpreadLabels(RunOperator):
    """Learns from the labels that a person set, and labels the other masks."""

    name = "spread_labels"
    label = "Spread labels (ProMerge)"
    description = "Learn from the masks that you labelled, and label the others"
    icon = "label"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        field = ask_masks_field(form, ctx.target_view(require_flat=True))
        form.parameters(SpreadOptions)
        ask_labels_target(ctx, form, field)
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"labels of {values['label_field']} of {ctx.dataset.name}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(None, "Learning from the labels")
        samples, field = ctx.target_view(require_flat=True), values["label_field"]
        done = spread_labels(samples, field, **SpreadOptions.pick(values).to_dict())
        scores = [{"method": name, "score": f"{score:.3f}"} for name, score in done.scores.items()]
        return {**done._asdict(), "label_field": field, "scores": scores}

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        outputs.md(
            f"From {result['labelled']:,} labels, **{result['spread']:,} masks** got one by "
            f"{result['method']}; {result['doubtful']:,} are too doubtful.",
            name="summary",
        )
        if not ctx.delegated:
            view = doubtful_masks(ctx.dataset, result["label_field"])
            outputs.btn(
                "show",
                "Show the most doubtful masks",
                icon="image",
                on_click="set_view",
                params={"view": serialized_view(view)},
            )
        if result["scores"]:
            columns = {"method": "Method", "score": "Balanced accuracy in cross-validation"}
            table(outputs, "scores", columns)
