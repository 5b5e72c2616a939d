"""The operator `apply_detector`: the masks of a trained detector into a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.operators as foo

from fiftyone_promerge.models.detector import load_detector
from fiftyone_promerge.operators.framework.forms import Form, ask_label_field, check_readable
from fiftyone_promerge.operators.framework.masks_operator import MasksOperator
from fiftyone_promerge.operators.framework.running import Report
from promerge_core.options import DEVICES


class ApplyDetector(MasksOperator):
    """Predicts masks with a detector that was trained here, or with CutLER's code."""

    name = "apply_detector"
    label = "Apply a detector (ProMerge+)"
    description = "Put the masks of a trained detector into a field"
    icon = "center_focus_strong"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        checkpoint = form.text(
            "checkpoint",
            suggestions=_trained(ctx),
            label="Checkpoint",
            description="A detector.pt of a training, or a .pth or .pkl of CutLER's code",
            required=True,
        )
        if checkpoint is not None:
            form.check("checkpoint", lambda: check_readable(checkpoint))
            form.values["checkpoint"] = str(Path(checkpoint).expanduser())
        ask_label_field(form, ctx.target_view(require_flat=True), "promerge_plus")
        form.number("batch_size", 4, 1, 4096, label="Batch size")
        form.number(
            "num_workers", 1, 0, 256, label="Workers", description="Processes that read images"
        )
        form.text("device", "auto", DEVICES, label="Device")
        return form

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(0, "Loading the detector")
        model = load_detector(values["checkpoint"], values["device"])
        return self.write_masks(ctx, model, values, report)


def _trained(ctx: foo.ExecutionContext) -> list[str]:
    """The checkpoints that were trained on this dataset."""
    keys = ctx.dataset.list_runs(method="train_detector")
    checkpoints = [ctx.dataset.get_run_info(key).config.checkpoint for key in keys]
    return [checkpoint for checkpoint in checkpoints if checkpoint]
