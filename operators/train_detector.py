"""The operator `train_detector`: ProMerge+ or CutLER from the labelled view."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.app.progress import duration
from fiftyone_promerge.app.suggestions import training_folder
from fiftyone_promerge.fields import check_detections_field, detections_fields
from fiftyone_promerge.operators.framework.forms import Form, names
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.operators.framework.target import ask_labels_target
from fiftyone_promerge.training import (
    ARCHITECTURES,
    RECIPES,
    Recipe,
    TrainingOptions,
    choose_architecture,
    find_recipe,
)
from promerge_core import PromergeError
from promerge_core.registry import TIMM_PREFIX

_DINO = "DINO ResNet-50, as in the paper: 100 MB download"
_TIMM = "timm's own weights: a download"
_SAID = {
    "architecture": "Choose one, or type any ConvNet of timm as timm:NAME; empty: the recipe's or "
    "the engine's first"
}

_ON_TOP = ("recipe", "minutes", "classes", "weights")


class TrainDetector(RunOperator):
    """Trains a detector on masks that no human drew, of one class or of those they are named."""

    name = "train_detector"
    label = "Train a detector (ProMerge+)"
    description = "Train a Mask R-CNN on the masks of a field: ProMerge+, CutLER, or your classes"
    icon = "model_training"
    delegated = True
    help_page = "training"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        from fiftyone_promerge.training import choose

        form = Form(ctx)
        field = _ask_data(form, ctx)
        titles = {name: recipe.title for name, recipe in RECIPES.items()}
        form.parameters(TrainingOptions, ["recipe", "minutes"], labels=titles)
        form.parameters(TrainingOptions, ["classes"])
        _ask_weights(form)
        machine = names(TrainingOptions, "Machine")
        with form.section("detector", "Detector and schedule"):
            rest = set(names(TrainingOptions)) - {*_ON_TOP, *machine}
            form.parameters(TrainingOptions, rest, labels=ARCHITECTURES, said=_SAID)
        with form.section("machine", "Machine"):
            form.parameters(TrainingOptions, _offered(form, machine))
        engine, architecture = form.values["engine"], form.values["architecture"]
        if form.check("architecture", lambda: choose_architecture(engine, architecture)):
            form.check("recipe", lambda: choose(TrainingOptions.pick(form.values).to_dict()))
        ask_labels_target(ctx, form, field)
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"the training in {values['output_dir']}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        from fiftyone_promerge.detectors import train_detector
        from fiftyone_promerge.training import read_checkpoint

        start = time.perf_counter()
        report(None, "Reading the masks")
        last: dict[str, float] = {}

        def progress(done: int, total: int, metrics: Mapping[str, float]) -> None:
            last.update(metrics)
            numbers = ", ".join(f"{name} {value:.3g}" for name, value in last.items())
            report(done / total, f"Iteration {done} of {total}: {numbers}")

        checkpoint = train_detector(
            ctx.target_view(require_flat=True),
            values["label_field"],
            output_dir=values["output_dir"],
            progress=progress,
            **TrainingOptions.pick(values).to_dict(),
        )
        metrics = read_checkpoint(checkpoint).metrics
        return {
            "checkpoint": str(checkpoint),
            "metrics": {name: round(value, 4) for name, value in metrics.items()},
            "seconds": round(time.perf_counter() - start, 1),
        }

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        numbers = ", ".join(f"{name} {value}" for name, value in result["metrics"].items())
        text = (
            f"The detector is `{result['checkpoint']}`, after {duration(result['seconds'])}; "
            f"at the end: {numbers}. Put its masks into a field with *Apply a detector*."
        )
        outputs.md(text, name="summary")


def _ask_data(form: Form, ctx: foo.ExecutionContext) -> str | None:
    samples = ctx.target_view(require_flat=True)
    fields = detections_fields(samples)
    default = "promerge" if "promerge" in fields else next(iter(fields), None)
    field: str | None = form.text(
        "label_field",
        default,
        fields,
        label="Label field",
        description="The field of masks to train on",
        required=default is None,
    )
    if field is not None:
        form.check("label_field", lambda: _check_masks(samples, field))
    form.output_folder(
        "output_dir",
        default=training_folder(ctx.dataset, field if field in fields else "masks"),
        label="Output folder",
        description="A folder of the run's own; a run that was stopped there continues",
        required=True,
    )
    return field


def _recipe(form: Form) -> Recipe:
    """The recipe that is chosen; the first one where what is typed is none."""
    if form.check("recipe", lambda: find_recipe(form.values["recipe"])):
        return find_recipe(form.values["recipe"])
    return next(iter(RECIPES.values()))


def _architecture(form: Form, recipe: Recipe) -> str:
    """The architecture that is typed further down in the form, else the recipe's or the first."""
    given = form.given("architecture", "detector")
    architecture = given if isinstance(given, str) and given.strip() else None
    return architecture or recipe.architecture or next(iter(ARCHITECTURES))


def _ask_weights(form: Form) -> None:
    """Asks what the detector begins with, and for a file where it is one."""
    from fiftyone_promerge.training import has_pretrained

    recipe = _recipe(form)
    architecture = _architecture(form, recipe)
    labels = {"random": "Random: no download"}
    if has_pretrained(architecture):
        labels["random"] += ", but a far worse detector of few images"
        labels["pretrained"] = _TIMM if architecture.startswith(TIMM_PREFIX) else _DINO
    usual = recipe.weights if recipe.weights in labels else list(labels)[-1]
    labels = {usual: labels.pop(usual), **labels, "file": "A file"}
    given = form.given("weights")
    chosen = usual if given is None else given if given in [*labels] else "file"
    start = form.choice("initial_weights", labels, chosen, label="Initial weights")
    form.values["weights"] = None if start == usual else start
    if start == "file":
        form.text(
            "weights",
            label="Weights file",
            description="A backbone or a detector on the machine that runs FiftyOne",
            is_path=True,
            required=True,
        )


def _offered(form: Form, options: list[str]) -> list[str]:
    """Those options of the machine that there is a choice in: devices where there are several."""
    import torch

    several = torch.cuda.device_count() > 1 or form.given("devices") is not None
    return [name for name in options if name != "devices" or several]


def _check_masks(samples: Any, field: str) -> None:
    """Raises PromergeError where no image has a label to train on."""
    check_detections_field(samples, field)
    with_masks = samples.match(fo.ViewField(f"{field}.detections").length() > 0)
    if not with_masks.limit(1).values("id"):
        raise PromergeError(f"no image has a mask in {field!r}; make masks first")
