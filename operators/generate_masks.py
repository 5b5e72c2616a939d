"""The operator `generate_masks`: instance masks for images without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.generation.generate import check_same_parameters
from fiftyone_promerge.models.promerge import load_model
from fiftyone_promerge.operators.framework.forms import Form, ask_label_field, check_output_folder
from fiftyone_promerge.operators.framework.masks_operator import MasksOperator
from fiftyone_promerge.operators.framework.running import Report
from fiftyone_promerge.provenance import run_record
from promerge_core.backbones.loading import check_backbone
from promerge_core.options import DEVICES, DTYPES
from promerge_core.registry import BACKBONES, METHODS, method_config

_LABELS = {name: method.label for name, method in METHODS.items()}


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
        method = form.choice("method", METHODS, "promerge", _LABELS, label="Method")
        _ask_backbone(form)
        ask_label_field(form, samples, method)
        if method in METHODS:
            _ask_parameters(form, method)
        _ask_storage(form)
        _ask_machine(form)
        if form.valid and not form.values["overwrite"]:
            form.check("label_field", lambda: _check_earlier(samples, form.values))
        return form

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(0, f"Loading {values['backbone']}")
        model = load_model(
            values["backbone"],
            values["method"],
            weights=values["weights"],
            device=values["device"],
            dtype=values["dtype"],
            **_parameters(values),
        )
        return self.write_masks(ctx, model, values, report, values["masks_dir"])


def _ask_backbone(form: Form) -> None:
    backbone = form.text(
        "backbone",
        "dino_vitb8",
        list(BACKBONES),
        label="Backbone",
        description="dino_vitb8 is the paper's; embedded needs no download; timm:NAME is any ViT",
    )
    weights = form.text(
        "weights",
        label="Weights file",
        description="A local .pth or .safetensors file; empty: downloaded from the hub",
    )
    if weights is not None:
        weights = form.values["weights"] = str(Path(weights).expanduser())
    if form.check("backbone", lambda: check_backbone(backbone or "")):
        form.check("weights", lambda: check_backbone(backbone, weights))


def _ask_parameters(form: Form, method: str) -> None:
    config = METHODS[method].config
    main = [one.name for one in config.parameters() if one.is_main]
    rest = [one.name for one in config.parameters() if not one.is_main]
    form.parameters(config, main)
    if form.flag(
        "advanced",
        form.is_given(rest),
        label="Advanced",
        description="Show every parameter of the method",
    ):
        form.parameters(config, rest)


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    declared = METHODS[values["method"]].config.parameters()
    return {one.name: values[one.name] for one in declared if one.name in values}


def _ask_storage(form: Form) -> None:
    folder = form.text(
        "masks_dir",
        label="Folder for the masks",
        description="Write masks as PNG files there; empty: they are kept in the database",
    )
    if folder is not None:
        form.check("masks_dir", lambda: check_output_folder(folder))
        form.values["masks_dir"] = str(Path(folder).expanduser())


def _ask_machine(form: Form) -> None:
    form.number(
        "batch_size", 8, 1, 4096, label="Batch size", description="Images in a backbone's batch"
    )
    form.number("num_workers", 1, 0, 256, label="Workers", description="Processes that read images")
    form.text("device", "auto", DEVICES, label="Device")
    form.choice("dtype", DTYPES, "auto", label="Number type")


def _check_earlier(samples: Any, values: dict[str, Any]) -> None:
    """Raises FieldError where the field holds masks that were made otherwise."""
    field = values["label_field"]
    if not samples.has_field(field):
        return
    config = method_config(values["method"], _parameters(values))
    record = run_record(values["method"], values["backbone"], values["weights"], config)
    check_same_parameters(samples, record, field)
