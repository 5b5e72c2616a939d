"""The panel `promerge_inspector`: how the masks of an image came to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.patches as fop
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge import plugin
from fiftyone_promerge.evaluation.choice import predicted_field
from fiftyone_promerge.fields import detections_fields
from fiftyone_promerge.inputs import suggestions_view
from fiftyone_promerge.provenance import recorded_parameters
from promerge_core import ProMergeConfig, PromergeError
from promerge_core.registry import BACKBONES, OFFLINE_BACKBONE, find_backbone

from .parts import item, notice

if TYPE_CHECKING:
    from fiftyone_promerge.inspection.inspect_image import Inspection

_GENERATE = f"{plugin.NAME}/generate_masks"
# An empty text and not None, which the panel's state would take for nothing new.
_DEFAULTS = {"backbone": OFFLINE_BACKBONE, "weights": "", **ProMergeConfig().to_dict()}
_LARGEST_STRIDE = 16
_NOT_OURS = (
    "ProMerge did not make {field}, so this is not how its labels came to be: it is what ProMerge "
    "makes of the image with the values and the backbone below."
)


class Inspector(foo.Panel):
    """Each stage of ProMerge for the open sample; without one, the figures of the dataset."""

    @property
    def config(self) -> foo.PanelConfig:
        """See `fiftyone.operators.Panel`."""
        return foo.PanelConfig(
            name="promerge_inspector",
            label="ProMerge inspector",
            icon="troubleshoot",
            help_markdown="How the masks of an image came to be, stage by stage. "
            f"[What each step shows]({plugin.help_link('inspector')})",
            surfaces="grid modal",
        )

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """Starts from the last field that ProMerge made, with the parameters that made it."""
        ours = [one for one in detections_fields(ctx.dataset) if _made_by(ctx.dataset, one)]
        self._start_from(ctx, ours[-1] if ours else predicted_field(ctx.dataset))

    def on_change_dataset(self, ctx: foo.ExecutionContext) -> None:
        """Another dataset was opened."""
        self.on_load(ctx)

    def on_change_view(self, ctx: foo.ExecutionContext) -> None:
        """The figures of the dataset are those of the view."""

    def on_change_current_sample(self, ctx: foo.ExecutionContext) -> None:
        """Another sample was opened: nothing is chosen in it yet."""
        ctx.panel.set_state({"point": None, "proposal": None})

    def on_change_selected(self, ctx: foo.ExecutionContext) -> None:
        """Other samples were selected."""
        self.on_change_current_sample(ctx)

    def redraw(self, ctx: foo.ExecutionContext) -> None:
        """A control was moved: its value is in the panel's state already."""

    def choose_field(self, ctx: foo.ExecutionContext) -> None:
        """Another field of masks was chosen."""
        self._start_from(ctx, ctx.params["value"])

    def reset(self, ctx: foo.ExecutionContext) -> None:
        """Goes back to what made the field."""
        self._start_from(ctx, ctx.panel.state.field)

    def _start_from(self, ctx: foo.ExecutionContext, field: str | None) -> None:
        made_by = _made_by(ctx.dataset, field)
        values = {name: made_by.get(name, default) for name, default in _DEFAULTS.items()}
        values["weights"] = values["weights"] or ""
        backbone, weights = values.pop("backbone"), values.pop("weights")
        ctx.panel.set_state(
            {
                "field": field,
                "source": {"backbone": backbone, "weights": weights},
                "parameters": values,
                "point": None,
                "proposal": None,
            }
        )

    def pick_prompt(self, ctx: foo.ExecutionContext) -> None:
        """The image was clicked: the prompt next to that point is chosen."""
        if ctx.params.get("x") is not None:
            ctx.panel.set_state("point", [ctx.params["x"], ctx.params["y"]])

    def pick_proposal(self, ctx: foo.ExecutionContext) -> None:
        """A proposal's dot was clicked."""
        if ctx.params.get("x") is not None:
            ctx.panel.set_state("proposal", [ctx.params["x"], ctx.params["y"]])

    def use_for_dataset(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of `generate_masks` with these parameters."""
        config = _config(ctx)
        ctx.prompt(
            _GENERATE,
            params={
                "method": "promerge",
                **ctx.panel.state.source,
                "label_field": _free_field(ctx.dataset),
                **{k: v for k, v in config.to_dict().items() if v != _DEFAULTS[k]},
            },
        )

    def store(self, ctx: foo.ExecutionContext) -> None:
        """Writes the maps of the open sample into fields of it."""
        from fiftyone_promerge.inspection.inspect_image import store_maps

        from . import steps as inspector_steps

        sample = _sample(ctx)
        if sample is None:
            return
        try:
            inspection = _inspect(ctx, sample)
            prompt = inspector_steps.chosen_prompt(inspection, ctx.panel.state.point)
            fields = store_maps(sample, inspection, prompt)
        except PromergeError as error:
            ctx.ops.notify(str(error), variant="error")
            return
        ctx.ops.reload_dataset()
        ctx.ops.notify(f"Stored: {', '.join(fields)}", variant="success")

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """The whole panel."""
        from .overview import show_overview

        panel = types.Object()
        sample = _sample(ctx)
        try:
            if sample is None:
                self._show_field(panel, ctx)
                show_overview(panel, ctx.target_view(), ctx.panel.state.field, self.redraw)
            else:
                self._show_sample(panel, ctx, sample)
        except PromergeError as error:
            notice(panel, "error", str(error), "error")
        if sample is not None:
            self._show_source(panel, ctx)
        return types.Property(panel, view=types.GridView(gap=2, pad=2))

    def _show_field(self, panel: types.Object, ctx: foo.ExecutionContext) -> None:
        view = types.DropdownView(label="Masks of the field", componentsProps=item("100%"))
        for field in detections_fields(ctx.dataset):
            view.add_choice(field, label=field)
        panel.str("field", view=view, on_change=self.choose_field)

    def _show_sample(
        self, panel: types.Object, ctx: foo.ExecutionContext, sample: fo.Sample
    ) -> None:
        from . import steps as inspector_steps

        steps = types.TabsView()
        for name, step in inspector_steps.STEPS.items():
            steps.add_choice(name, label=step.label)
        panel.str("step", default="prompts", view=steps, on_change=self.redraw)
        step = inspector_steps.STEPS[ctx.panel.state.step or "prompts"]
        field = ctx.panel.state.field
        if field is not None and not _made_by(ctx.dataset, field):
            notice(panel, "made_by", _NOT_OURS.format(field=field), "info")
        try:
            inspection = _inspect(ctx, sample)
            step.show(panel, inspection, ctx.panel.state, self)
        finally:
            self._show_sliders(panel, ctx, step.parameters)

    def _show_sliders(
        self, panel: types.Object, ctx: foo.ExecutionContext, names: tuple[str, ...]
    ) -> None:
        declared = {one.name: one for one in ProMergeConfig.parameters()}
        sliders = panel.grid("parameters", gap=0, componentsProps=item("100%"))
        for one in (declared[name] for name in names):
            whole = one.type is int
            define = sliders.int if whole else sliders.float
            view = types.SliderView(
                label=f"{one.label}: {ctx.panel.get_state('parameters')[one.name]}",
                description=one.help,
                label_position="top",
                value_label_display="off",
                view_multiple_of=1 if whole else 0.01,
                componentsProps=item("240px"),
            )
            define(
                one.name,
                min=one.low,
                max=_LARGEST_STRIDE if whole else one.high,
                view=view,
                on_change=self.redraw,
            )

    def _show_source(self, panel: types.Object, ctx: foo.ExecutionContext) -> None:
        buttons = panel.h_stack("buttons", gap=1, componentsProps=item("100%"))
        buttons.btn(
            "use", "Use for the dataset", on_click=self.use_for_dataset, variant="contained"
        )
        buttons.btn("store", "Store the maps", on_click=self.store, variant="outlined")
        buttons.btn("reset", "Reset", on_click=self.reset, variant="outlined")
        self._show_field(panel, ctx)
        source = panel.grid("source", gap=2, componentsProps=item("100%"))
        view = suggestions_view(BACKBONES, label="Backbone", componentsProps=item("240px"))
        source.str("backbone", view=view, on_change=self.redraw)
        chosen = ctx.panel.state.source or _DEFAULTS
        entry = find_backbone(chosen["backbone"] or "")
        if chosen["weights"] or (entry is not None and entry.needs_weights):
            source.str(
                "weights",
                view=types.TextFieldView(
                    label="Weights file",
                    description="Empty: they are downloaded",
                    componentsProps=item("240px"),
                ),
                on_change=self.redraw,
            )


def _made_by(dataset: fo.Dataset, field: str | None) -> dict[str, Any]:
    """What made a field's masks, where ProMerge did; else nothing."""
    made_by = None if field is None else recorded_parameters(dataset, field)
    return made_by if made_by is not None and made_by["method"] == "promerge" else {}


def _sample(ctx: foo.ExecutionContext) -> fo.Sample | None:
    """The open sample, else the first selected one; of a patch, the sample it was cut from."""
    chosen = ctx.current_sample or next(iter(ctx.selected), None)
    if chosen is None:
        return None
    field = "sample_id" if isinstance(ctx.view, fop.PatchesView) else "id"
    ids = ctx.view.select(chosen).values(field)
    return ctx.dataset[ids[0]] if ids else None


def _config(ctx: foo.ExecutionContext) -> ProMergeConfig:
    return ProMergeConfig.from_dict(ctx.panel.state.parameters or {})


def _inspect(ctx: foo.ExecutionContext, sample: fo.Sample) -> Inspection:
    from fiftyone_promerge.inspection.inspect_image import Source, inspect_image

    chosen = ctx.panel.state.source or _DEFAULTS
    # A field that was emptied is None.
    backbone, weights = chosen["backbone"] or "", chosen["weights"] or None
    return inspect_image(Source(sample.filepath, backbone, weights), _config(ctx))


def _free_field(dataset: fo.Dataset) -> str:
    """The first of promerge, promerge_2, ... that the dataset lacks."""
    field, number = "promerge", 2
    while dataset.has_field(field):
        field, number = f"promerge_{number}", number + 1
    return field
