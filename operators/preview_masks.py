"""The operator `preview_masks`: a button of the form of `generate_masks`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge import plugin
from fiftyone_promerge.app.targets import counted
from fiftyone_promerge.operators.framework.forms import Form, names
from fiftyone_promerge.operators.framework.model_inputs import ask_model
from fiftyone_promerge.operators.framework.outputs import data_uri
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report
from promerge_core.options import BackboneOptions
from promerge_core.registry import METHODS

_URI = f"{plugin.NAME}/preview_masks"
_MODEL = ("method", *names(BackboneOptions, "Model"))


class PreviewMasks(RunOperator):
    """Makes the masks of one image and shows them, writing nothing."""

    name = "preview_masks"
    label = "Preview"
    description = "The masks of one image, as the form above would make them"
    icon = "visibility"
    unlisted = True

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        ask_model(form, {})
        form.parameters(METHODS[form.values["method"]].config)
        form.text("sample_id", label="Image", required=True)
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"the preview of an image of {ctx.dataset.name}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        from fiftyone_promerge.inspection.preview import preview

        path = ctx.dataset[values["sample_id"]].filepath
        report(None, f"Loading the backbone {values['backbone']}, then segmenting one image")
        model = {name: values[name] for name in _MODEL}
        config = METHODS[values["method"]].config.pick(values)
        made = preview(path, config=config, **model)
        return {
            "picture": data_uri(made.picture),
            "masks": made.masks,
            "reason": made.reason,
            "image": Path(path).name,
        }

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`: nothing has changed."""
        return iter(())

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        masks = counted(result["masks"], "mask")
        text = f"**{masks}** on {result['image']}; nothing was written."
        if result["reason"]:
            text = f"**No masks** on {result['image']}: {result['reason']}"
        outputs.md(text, name="summary")
        outputs.str("picture", view=types.ImageView())


def ask_preview(ctx: foo.ExecutionContext, form: Form, samples: Any) -> None:
    """Adds a button that shows the masks of the selected or the first image.

    Args:
        ctx: the operator's context.
        form: a form of `generate_masks`, with every value.
        samples: what the masks are made for.
    """
    chosen = ctx.selected or samples.limit(1).values("id")
    if not form.valid or not chosen:
        return
    config = METHODS[form.values["method"]].config
    wanted = [*_MODEL, *names(config)]
    form.inputs.btn(
        "preview",
        "Preview on the selected image" if ctx.selected else "Preview on the first image",
        icon="visibility",
        variant="outlined",
        on_click=_URI,
        params={"sample_id": chosen[0], **{name: form.values[name] for name in wanted}},
    )
