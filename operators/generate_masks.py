"""The operator `generate_masks`: instance masks for images without labels."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.generation.generate import check_same_parameters
from fiftyone_promerge.models.promerge import load_model
from fiftyone_promerge.operators.framework.forms import Form, names
from fiftyone_promerge.operators.framework.masks_operator import (
    MasksOperator,
    ask_label_field,
    ask_run_options,
)
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.provenance import run_record
from promerge_core import ProMergeConfig
from promerge_core.backbones.loading import check_backbone
from promerge_core.options import BackboneOptions
from promerge_core.registry import METHODS, PRESETS

_NO_PRESET = "none"


class GenerateMasks(MasksOperator):
    """Makes instance masks for every image, without labels."""

    name = "generate_masks"
    label = "Generate masks (ProMerge)"
    description = "Instance masks without any human label, by ProMerge or MaskCut"
    icon = "auto_awesome"

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """A button above the samples grid."""
        return types.Placement(
            types.Places.SAMPLES_GRID_SECONDARY_ACTIONS,
            types.Button(label=self.label, icon=self.icon, prompt=True),
        )

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        samples = ctx.target_view(require_flat=True)
        labels = {name: entry.label for name, entry in METHODS.items()}
        method = form.choice("method", labels, "promerge", label="Method")
        _ask_backbone(form)
        ask_label_field(form, samples, method)
        _ask_parameters(form, method)
        form.output_folder(
            "masks_dir",
            label="Folder for the masks",
            description="Write masks as PNG files there; empty: they are kept in the database",
        )
        ask_run_options(form)
        form.parameters(BackboneOptions, names(BackboneOptions, main=False))
        if form.valid and not form.values.get("overwrite"):
            form.check("label_field", lambda: _check_earlier(samples, form.values))
        return form

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(0, f"Loading {values['backbone']}")
        model = load_model(
            method=values["method"],
            **BackboneOptions.pick(values).to_dict(),
            **METHODS[values["method"]].config.pick(values).to_dict(),
        )
        return self.write_masks(ctx, model, values, report, values["masks_dir"])


def _ask_backbone(form: Form) -> None:
    form.parameters(BackboneOptions, names(BackboneOptions, main=True))
    backbone, weights = form.values["backbone"], form.values["weights"]
    if form.check("backbone", lambda: check_backbone(backbone)):
        form.check("weights", lambda: check_backbone(backbone, weights))


def _ask_parameters(form: Form, method: str) -> None:
    """Asks for a preset, and without one for each parameter."""
    if method == "promerge":
        labels = {_NO_PRESET: "None", **{name: one.help for name, one in PRESETS.items()}}
        preset = form.choice("preset", labels, _NO_PRESET, label="Preset")
        if preset != _NO_PRESET:
            form.values.update(ProMergeConfig.from_preset(preset).to_dict())
            return
    form.main_parameters_first(METHODS[method].config)


def _check_earlier(samples: Any, values: dict[str, Any]) -> None:
    """Raises FieldError where the field holds masks that were made otherwise."""
    field = values["label_field"]
    if not samples.has_field(field):
        return
    config = METHODS[values["method"]].config.pick(values)
    record = run_record(values["method"], values["backbone"], values["weights"], config)
    check_same_parameters(samples, record, field)
