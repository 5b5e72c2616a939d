"""The operator `export_coco`: a field of masks as COCO json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.app.suggestions import export_path
from fiftyone_promerge.coco.exporting import export_coco
from fiftyone_promerge.evaluation.choice import predicted_field
from fiftyone_promerge.fields import check_detections_field, detections_fields
from fiftyone_promerge.operators.framework.checks import (
    check_json_name,
    check_output_folder,
    expanded,
)
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.operators.framework.target import ask_labels_target
from promerge_core.runs.outputs import check_output

_KINDS = {
    "dataset": "A whole COCO file: images, annotations and the one category",
    "results": "Results: a list for pycocotools",
}


class ExportCoco(RunOperator):
    """Writes the labels of a field as a COCO annotation or result file."""

    name = "export_coco"
    label = "Export masks as COCO json (ProMerge)"
    description = "Masks as RLE, boxes and scores, pixel exact, for any COCO tool"
    icon = "file_download"
    help_page = "evaluation"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        samples = ctx.target_view(require_flat=True)
        fields = detections_fields(samples)
        field = form.text(
            "label_field",
            predicted_field(samples),
            fields,
            label="Label field",
            required=True,
        )
        if field is not None:
            form.check("label_field", lambda: check_detections_field(samples, field))
        path = form.text(
            "path",
            export_path(ctx.dataset, field) if field else None,
            label="File",
            description="Where to write it, on the machine that runs FiftyOne",
            required=True,
        )
        if path is not None:
            _ask_file(form, expanded(path), {"dataset": ctx.dataset.name, "field": field})
        form.choice("kind", _KINDS, "dataset", label="Kind")
        ask_labels_target(ctx, form, field)
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"the export to {values['path']}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(0, f"Writing {values['path']}")
        samples = ctx.target_view(require_flat=True)
        path = Path(values["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        overwrite = values.get("overwrite", False)
        field, kind = values["label_field"], values["kind"]
        written = export_coco(samples, field, path, kind, overwrite=overwrite)
        return {"annotations": written, "path": str(path)}

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        text = f"**{result['annotations']} annotations** are in `{result['path']}`."
        outputs.md(text, name="summary")


def _ask_file(form: Form, path: str, expected: dict[str, Any]) -> None:
    """Checks the path of the file to write, and asks whether one that is there may be replaced."""
    form.values["path"] = path
    if not form.check("path", lambda: check_json_name(path)):
        return
    if not form.check("path", lambda: check_output_folder(str(Path(path).parent))):
        return
    if Path(path).exists():
        overwrite = form.flag(
            "overwrite", label="Overwrite", description="Replace the file that is there"
        )
        form.check("path", lambda: check_output(Path(path), overwrite, expected))
