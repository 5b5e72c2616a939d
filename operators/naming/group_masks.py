"""The operator `group_masks`: masks that look alike get the same `group`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.app.progress import Progress
from fiftyone_promerge.fields import count_samples
from fiftyone_promerge.grouping.attributes import vectors_made_by
from fiftyone_promerge.grouping.brain import index_masks
from fiftyone_promerge.grouping.groups import group_masks
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.model_inputs import ask_backbone
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.operators.framework.target import ask_labels_target
from promerge_core.options import BackboneOptions, GroupOptions

from .fields import ask_masks_field

PANEL = "promerge_groups"


class GroupMasks(RunOperator):
    """Gives masks vectors and finds groups of those that look alike."""

    name = "group_masks"
    label = "Group masks (ProMerge)"
    description = "Find masks that look alike, so that they can be named together"
    icon = "workspaces"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        samples = ctx.target_view(require_flat=True)
        field = ask_masks_field(form, samples)
        form.parameters(GroupOptions, ["method"])
        form.values["groups"] = None
        if form.values["method"] == "kmeans":
            form.parameters(GroupOptions, ["groups"])
        form.flag(
            "index",
            True,
            label="Embeddings panel",
            description="Show the masks in FiftyOne's embeddings panel, and find similar ones",
        )
        ask_backbone(form, vectors_made_by(samples, field) if field else {})
        with form.section("machine", "Machine"):
            form.parameters(BackboneOptions, ["dtype", "device"])
        ask_labels_target(ctx, form, field)
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"groups of {values['label_field']} of {ctx.dataset.name}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        # It needs PyTorch, which the App shall not load before it is used.
        from fiftyone_promerge.grouping.embedding import embed_masks

        samples, field = ctx.target_view(require_flat=True), values["label_field"]
        progress = Progress("Looking at the masks of images", count_samples(samples))
        said: list[str] = []
        report(0, progress.line(0))
        embed_masks(
            samples,
            field,
            progress=lambda done: report(progress.share(done), progress.line(done)),
            **BackboneOptions.pick(values).to_dict(),
        )
        report(None, "Finding groups")
        chosen = GroupOptions.pick(values).to_dict()
        groups = group_masks(samples, field, announce=said.append, **chosen)
        if values["index"]:
            report(None, "Preparing the embeddings panel")
            index_masks(samples, field)
        return {"label_field": field, "groups": [str(n) for n in groups.values()], "said": said}

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`."""
        yield ctx.ops.reload_dataset()
        yield ctx.ops.open_panel(PANEL, layout="horizontal", force=True)

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        sizes = ", ".join(result["groups"])
        text = f"**{len(result['groups'])} groups** of {sizes} masks in `{result['label_field']}`."
        outputs.md(" ".join([text, *result["said"]]), name="summary")
