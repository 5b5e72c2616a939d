"""The operator `generate_masks`: instance masks for images without labels."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.operators.framework.forms import Form, names
from fiftyone_promerge.operators.framework.masks_operator import (
    MasksOperator,
    ask_label_field,
    ask_machine,
    ask_masks_target,
)
from fiftyone_promerge.operators.framework.model_inputs import ask_model
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.provenance import (
    check_same_parameters,
    recorded_parameters,
    run_record,
)
from promerge_core import ProMergeConfig
from promerge_core.options import BackboneOptions, MaskOptions
from promerge_core.registry import METHODS, PRESETS

from .preview_masks import ask_preview

_NO_PRESET = "none"


class GenerateMasks(MasksOperator):
    """Makes instance masks for every image, without labels."""

    name = "generate_masks"
    label = "Generate masks (ProMerge)"
    # The App sorts its list by the first letter of the description.
    description = "A mask for each object without any human label, by ProMerge or MaskCut"
    icon = "auto_awesome"

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """A button above the samples grid; FiftyOne shows a text only where there is no icon."""
        return types.Placement(
            types.Places.SAMPLES_GRID_SECONDARY_ACTIONS,
            types.Button(label="Generate masks", prompt=True),
        )

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        samples = ctx.target_view(require_flat=True)
        method = form.given("method")
        ask_label_field(form, samples, method if method in [*METHODS] else "promerge")
        made_by = _made_by(samples, form.values["label_field"])
        ask_model(form, made_by)
        _ask_parameters(form, made_by)
        form.parameters(MaskOptions, ["embeddings"])
        with form.section("machine", "Machine"):
            ask_machine(form, BackboneOptions)
            form.output_folder(
                "masks_dir",
                label="Folder for the masks",
                description="Write masks as PNG files there; empty: they are kept in the database",
            )
        if form.valid and not form.values.get("overwrite"):
            form.check("label_field", lambda: _check_earlier(samples, form.values))
        ask_preview(ctx, form, samples)
        ask_masks_target(ctx, form)
        return form

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        from fiftyone_promerge.models.promerge import load_model

        report(None, f"Loading the backbone {values['backbone']}")
        model = load_model(
            method=values["method"],
            **BackboneOptions.pick(values).to_dict(),
            **METHODS[values["method"]].config.pick(values).to_dict(),
        )
        return self.write_masks(ctx, model, values, report, values["masks_dir"])


def _made_by(samples: Any, field: str) -> dict[str, Any]:
    """What made the masks of a field, where a method of ours did; else nothing."""
    made_by = recorded_parameters(samples, field) or {}
    return made_by if made_by.get("method") in METHODS else {}


def _ask_parameters(form: Form, defaults: dict[str, Any]) -> None:
    """Asks for a preset, and without one for each parameter."""
    config = METHODS[form.values["method"]].config
    label = METHODS[form.values["method"]].label
    with form.section("thresholds", f"Thresholds of {label}"):
        if form.values["method"] == "promerge":
            labels = {_NO_PRESET: "None", **{name: one.help for name, one in PRESETS.items()}}
            preset = form.choice("preset", labels, _NO_PRESET, label="Preset")
            if preset in PRESETS:
                form.values.update(ProMergeConfig.from_preset(preset).to_dict())
                return
        form.parameters(config, names(config, label), defaults=defaults)
    with form.section("refinement", "Input size and refinement"):
        form.parameters(config, names(config, "Model", "CRF"), defaults=defaults)


def _check_earlier(samples: Any, values: dict[str, Any]) -> None:
    """Raises FieldError where the field holds masks that were made otherwise."""
    field = values["label_field"]
    if not samples.has_field(field):
        return
    config = METHODS[values["method"]].config.pick(values)
    record = run_record(values["method"], values["backbone"], values["weights"], config)
    check_same_parameters(samples, record, field)
