"""The operator `apply_detector`: the masks of a trained detector into a field."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.detector_model import load_detector
from fiftyone_promerge.generation import generate_masks

from .forms import Form, ask_label_field, check_readable
from .masks_output import describe_masks, masks_result, show_masks
from .run_operator import RunOperator
from .running import Report, bar_progress


class ApplyDetector(RunOperator):
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
        form.text("device", "auto", ["auto", "cuda", "mps", "cpu"], label="Device")
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"{values['label_field']} of {ctx.dataset.name}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        start = time.perf_counter()
        samples = ctx.target_view(require_flat=True)
        report(0, "Loading the detector")
        summary = generate_masks(
            samples,
            load_detector(values["checkpoint"], values["device"]),
            values["label_field"],
            batch_size=values["batch_size"],
            num_workers=values["num_workers"],
            overwrite=values["overwrite"],
            progress=bar_progress(report, "Images"),
        )
        return masks_result(samples, values["label_field"], summary, time.perf_counter() - start)

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`."""
        return show_masks(ctx, result)

    def describe(self, outputs: types.Object, result: dict[str, Any]) -> None:
        """See `RunOperator`."""
        describe_masks(outputs, result)


def _trained(ctx: foo.ExecutionContext) -> list[str]:
    """The checkpoints that were trained on this dataset."""
    keys = ctx.dataset.list_runs(method="train_detector")
    checkpoints = [ctx.dataset.get_run_info(key).config.checkpoint for key in keys]
    return [checkpoint for checkpoint in checkpoints if checkpoint]
