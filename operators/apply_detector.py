"""The operator `apply_detector`: the masks of a trained detector into a field."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo

from fiftyone_promerge.app.suggestions import trained_checkpoints
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.masks_operator import (
    MasksOperator,
    ask_label_field,
    ask_machine,
    ask_masks_target,
)
from fiftyone_promerge.operators.framework.running import Report
from promerge_core.options import DeviceOptions

_CHECKPOINT = "A detector.pt of a training, or a .pth or .pkl of CutLER's code"
_NONE_TRAINED = "No detector of this dataset's trainings is there."


class ApplyDetector(MasksOperator):
    """Predicts masks with a detector that was trained here, or with CutLER's code."""

    name = "apply_detector"
    label = "Apply a detector (ProMerge+)"
    description = "Put the masks of a trained detector into a field"
    icon = "center_focus_strong"
    help_page = "training"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        trained = trained_checkpoints(ctx.dataset)
        form.text(
            "checkpoint",
            trained[-1] if trained else None,
            suggestions=trained,
            label="Checkpoint",
            description=_CHECKPOINT if trained else f"{_NONE_TRAINED} {_CHECKPOINT}",
            is_path=True,
            required=True,
        )
        ask_label_field(form, ctx.target_view(require_flat=True), "promerge_plus")
        with form.section("machine", "Machine"):
            ask_machine(form, DeviceOptions, {"batch_size": 4})
        ask_masks_target(ctx, form)
        return form

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        from fiftyone_promerge.models.detector import load_detector

        report(None, "Loading the detector")
        model = load_detector(values["checkpoint"], values["device"])
        return self.write_masks(ctx, model, values, report)
