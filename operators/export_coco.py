"""The operator `export_coco`: a field of masks as COCO json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.coco import check_detections_field, export_coco

from .forms import Form, check_output_folder, detections_fields, output
from .running import Report, execute, result_of


class ExportCoco(foo.Operator):
    """Writes the labels of a field as a COCO annotation or result file."""

    @property
    def config(self) -> foo.OperatorConfig:
        """See `fiftyone.operators.Operator`."""
        return foo.OperatorConfig(
            name="export_coco",
            label="Export masks as COCO json (ProMerge)",
            description="Masks as RLE, boxes and scores, pixel exact, for any COCO tool",
            icon="file_download",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form."""
        return _form(ctx).property("Export masks as COCO json")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Writes the file; see `running.execute`."""
        values = _form(ctx).values
        samples = ctx.target_view(require_flat=True)

        def work(report: Report) -> dict[str, Any]:
            report(0, f"Writing {values['path']}")
            path = Path(values["path"]).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            samples.compute_metadata()
            written = export_coco(samples, values["label_field"], path, values["kind"])
            return {"annotations": written, "path": str(path)}

        def show(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.ops.notify(f"{result['path']} is written", variant="success")

        return execute(ctx, f"the export to {values['path']}", work, show)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What was written."""
        result = result_of(ctx)
        outputs = output(ctx, result, "Nothing was written")
        if "error" not in result:
            outputs.md(
                f"**{result['annotations']} annotations** are in `{result['path']}`.",
                name="summary",
            )
        return types.Property(outputs, view=types.View(label="Export masks as COCO json"))


def _form(ctx: foo.ExecutionContext) -> Form:
    form = Form(ctx)
    samples = ctx.target_view(require_flat=True)
    fields = detections_fields(samples)
    field = form.text(
        "label_field", fields[-1] if fields else None, fields, label="Label field", required=True
    )
    if field is not None:
        form.check("label_field", lambda: check_detections_field(samples, field))
    path = form.text(
        "path",
        label="File",
        description="Where to write it, on the machine that runs FiftyOne; ends in .json",
        required=True,
    )
    if path is not None:
        form.check("path", lambda: check_output_folder(str(Path(path).expanduser().parent)))
    form.choice(
        "kind",
        ["dataset", "results"],
        "dataset",
        {"dataset": "A whole COCO file", "results": "The list of results that loadRes reads"},
        label="Kind",
    )
    return form
