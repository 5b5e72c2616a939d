"""What a run that wrote masks tells and shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from promerge_core import Summary
from promerge_core.stages import NoMasks

from .forms import table


def masks_result(
    samples: foc.SampleCollection, label_field: str, summary: Summary, seconds: float
) -> dict[str, Any]:
    """The result of a run, ready for JSON."""
    return {
        "label_field": label_field,
        "images": summary.images,
        "masks": summary.masks,
        "left_alone": len(samples) - summary.images - len(summary.skipped),
        "without": [
            {"reason": NoMasks(reason).explanation, "images": str(count)}
            for reason, count in summary.reasons.most_common()
        ],
        "skipped_count": len(summary.skipped),
        "skipped": [image._asdict() for image in summary.skipped[:20]],
        "seconds": round(seconds, 1),
    }


def show_masks(ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
    """Makes the field visible, and the samples the view."""
    yield ctx.ops.reload_dataset()
    fields = dict.fromkeys([*ctx.active_fields, result["label_field"]])
    yield ctx.ops.set_active_fields([*fields])
    samples = ctx.target_view(require_flat=True).view()
    if samples != ctx.view:
        yield ctx.ops.set_view(samples)


def describe_masks(outputs: types.Object, result: dict[str, Any]) -> None:
    """Adds what a person is told: masks, images without any and why, images skipped and why."""
    outputs.md(_sentence(result), name="summary")
    if result["without"]:
        columns = {"images": "Images", "reason": "Why they have no masks"}
        table(outputs, "without", columns, "Images without masks")
    if result["skipped"]:
        table(outputs, "skipped", {"path": "Image", "reason": "Why"}, "Images skipped")


def _sentence(result: dict[str, Any]) -> str:
    text = (
        f"**{result['masks']} masks** on {result['images']} images are in the field "
        f"`{result['label_field']}`, after {result['seconds']} seconds."
    )
    if result["left_alone"]:
        text += f" {result['left_alone']} images had masks already and were left alone."
    if result["skipped_count"]:
        text += f" {result['skipped_count']} images could not be read."
    return text
