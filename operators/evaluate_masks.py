"""The operator `evaluate_masks`: COCO AP and AR of a field of masks or boxes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.app.progress import Progress, duration
from fiftyone_promerge.benchmarks.registry import published_ap
from fiftyone_promerge.evaluation.choice import ground_truth_field, predicted_field, unlabelled
from fiftyone_promerge.evaluation.comparison import class_metrics, comparison
from fiftyone_promerge.evaluation.run import check_fields, evaluate
from fiftyone_promerge.evaluation.words import MEANINGS, METRICS, percent
from fiftyone_promerge.fields import check_eval_key, count_samples, detections_fields
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.outputs import table
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report, bar_progress
from fiftyone_promerge.operators.framework.target import ask_labels_target

_PANEL = "model_evaluation_panel_builtin"
_LABELLED = "labelled"


class EvaluateMasks(RunOperator):
    """Judges predictions against ground truth by COCO's AP and AR."""

    name = "evaluate_masks"
    label = "Evaluate masks (COCO AP and AR)"
    description = "AP and AR, equal to pycocotools, as an evaluation run"
    icon = "insights"
    help_page = "evaluation"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        samples = ctx.target_view(require_flat=True)
        fields = detections_fields(samples)
        pred_field = form.text(
            "pred_field",
            predicted_field(samples),
            fields,
            label="Predictions",
            description="The field to judge",
            required=True,
        )
        gt_field = form.text(
            "gt_field",
            ground_truth_field(samples, [pred_field] if pred_field else []),
            [field for field in fields if field != pred_field],
            label="Ground truth",
            description="The field to judge it by",
            required=True,
        )
        if pred_field is not None:
            _ask_images(form, samples, pred_field)
        if pred_field is not None and gt_field is not None:
            form.check("gt_field", lambda: check_fields(samples, pred_field, gt_field))
        iou_types = {"segm": "Masks", "bbox": "Boxes"}
        iou_type = form.choice("iou_type", iou_types, "segm", label="Compare")
        classes = form.text(
            "classes",
            suggestions=["label", "category"],
            label="Classes",
            description="The attribute of the ground truth that names a label's class, label or "
            "such as category; of the predictions it is label. Empty: all labels count as one",
        )
        eval_key = form.text(
            "eval_key",
            f"eval_{pred_field}_{iou_type}" + ("_classes" if classes else ""),
            label="Evaluation key",
            description="The name of the evaluation run; a run of the same fields is replaced",
        )
        compared = [field for field in (pred_field, gt_field) if field is not None]
        form.check(
            "eval_key", lambda: check_eval_key(samples, eval_key, compared, read_labels=False)
        )
        ask_labels_target(ctx, form, pred_field)
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"{values['eval_key']} of {ctx.dataset.name}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        start = time.perf_counter()
        samples = ctx.target_view(require_flat=True)
        total = count_samples(samples)
        if values.get("images") == _LABELLED:
            samples = samples.exists(values["pred_field"])
        judged = count_samples(samples)
        results = evaluate(
            samples,
            values["pred_field"],
            values["gt_field"],
            values["eval_key"],
            values["iou_type"],
            progress=bar_progress(report, Progress("Comparing", judged)),
            classes=values.get("classes"),
        )
        rows = _rows(ctx, values, results.metrics())
        by_class = class_metrics(results) if values.get("classes") else {}
        return {
            "eval_key": values["eval_key"],
            "gt_field": values["gt_field"],
            "images": judged,
            "of": total,
            "columns": {
                "metric": "",
                **{row["name"]: _heading(row) for row in rows},
                "meaning": "What it says",
            },
            "metrics": [
                {"metric": metric, "meaning": MEANINGS[metric]}
                | {row["name"]: percent(row[metric]) for row in rows if metric in row}
                for metric in METRICS
            ],
            "classes": [
                {"class": name, **{key: percent(value) for key, value in numbers.items()}}
                for name, numbers in by_class.items()
            ],
            "seconds": round(time.perf_counter() - start, 1),
        }

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`."""
        yield ctx.ops.reload_dataset()
        yield ctx.ops.open_panel(_PANEL, layout="horizontal", force=True)

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        images = f"{result['images']:,} of {result['of']:,} images"
        outputs.md(
            f"**{result['eval_key']}**, in percent: {images}, judged by `{result['gt_field']}` in "
            f"{duration(result['seconds'])}. The panel *Model Evaluation* has the same numbers "
            f"as fractions, from 0 to 1; where one is not defined, it has -1.",
            name="summary",
        )
        table(outputs, "metrics", result["columns"])
        if result["classes"]:
            table(outputs, "classes", {name: name for name in result["classes"][0]})


def _ask_images(form: Form, samples: Any, field: str) -> None:
    """Asks whether images without a label are judged, where there are any."""
    target, missing = unlabelled(samples, field)
    if not missing or not target.done:
        return
    choices = {
        "all": f"All {target.counted}: the objects of the {missing:,} without labels count as "
        f"missed",
        _LABELLED: f"The {target.done:,} with labels in {field} alone",
    }
    form.choice("images", choices, "all", label="Judge")


def _heading(row: dict[str, Any]) -> str:
    return row["name"] + (" (published)" if row["published"] else "")


def _rows(
    ctx: foo.ExecutionContext, values: dict[str, Any], metrics: dict[str, float]
) -> list[dict[str, Any]]:
    benchmark = ctx.dataset.info.get("benchmark")
    published = {} if values.get("classes") else published_ap(benchmark, [values["iou_type"]])
    return comparison({values["pred_field"]: metrics}, published)
