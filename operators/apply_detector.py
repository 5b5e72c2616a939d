"""The operator `apply_detector`: the masks of a trained detector into a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.operators as foo

from fiftyone_promerge.models.detector import load_detector
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.masks_operator import (
    MasksOperator,
    ask_label_field,
    ask_run_options,
)
from fiftyone_promerge.operators.framework.running import Report
from promerge_core.options import DeviceOptions


class ApplyDetector(MasksOperator):
    """Predicts masks with a detector that was trained here, or with CutLER's code."""

    name = "apply_detector"
    label = "Apply a detector (ProMerge+)"
    description = "Put the masks of a trained detector into a field"
    icon = "center_focus_strong"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        form.text(
            "checkpoint",
            suggestions=_trained(ctx),
            label="Checkpoint",
            description="A detector.pt of a training, or a .pth or .pkl of CutLER's code",
            is_path=True,
            required=True,
        )
        ask_label_field(form, ctx.target_view(require_flat=True), "promerge_plus")
        ask_run_options(form, {"batch_size": 4})
        form.parameters(DeviceOptions)
        return form

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(0, "Loading the detector")
        model = load_detector(values["checkpoint"], values["device"])
        return self.write_masks(ctx, model, values, report)


def _trained(ctx: foo.ExecutionContext) -> list[str]:
    """The checkpoints that were trained on this dataset and are still there."""
    keys = ctx.dataset.list_runs(method="train_detector")
    checkpoints = [ctx.dataset.get_run_info(key).config.checkpoint for key in keys]
    return [checkpoint for checkpoint in checkpoints if checkpoint and Path(checkpoint).exists()]
