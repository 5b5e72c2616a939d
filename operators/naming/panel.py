"""The panel `promerge_groups`: groups of masks get their names."""

from __future__ import annotations

import uuid
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge import plugin
from fiftyone_promerge.fields import check_detections_field
from fiftyone_promerge.grouping.merging import merge_groups
from fiftyone_promerge.grouping.names import check_name, name_groups
from fiftyone_promerge.operators.inspector.parts import item, notice
from promerge_core import PromergeError

from .fields import masks_fields
from .group_masks import PANEL
from .rows import Strip, strips

_GROUP = f"{plugin.NAME}/group_masks"
_SPREAD = f"{plugin.NAME}/spread_labels"
_NO_OBJECT = "-"
_INPUTS = "inputs"


class GroupsPanel(foo.Panel):
    """Each group of masks as a row of pictures with its name; nothing is written before *Apply*."""

    @property
    def config(self) -> foo.PanelConfig:
        """See `fiftyone.operators.Panel`."""
        return foo.PanelConfig(
            name=PANEL,
            label="Name groups",
            icon="sell",
            help_markdown="Groups of masks that look alike, to be named",
            surfaces="grid",
        )

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """Starts with the first field whose masks have groups."""
        fields = masks_fields(ctx.dataset)
        grouped = [one for one in fields if ctx.dataset.has_field(f"{one}.detections.group")]
        self._start(ctx, next(iter([*grouped, *fields]), None))

    def on_change_dataset(self, ctx: foo.ExecutionContext) -> None:
        """Another dataset was opened."""
        self.on_load(ctx)

    def choose_field(self, ctx: foo.ExecutionContext) -> None:
        """Another field of masks was chosen."""
        self._start(ctx, ctx.params["value"])

    def refresh(self, ctx: foo.ExecutionContext) -> None:
        """The masks have other groups or names by now."""
        ctx.dataset.reload()
        self._start(ctx, ctx.panel.state.field)

    def redraw(self, ctx: foo.ExecutionContext) -> None:
        """An input was changed: its value is in the panel's state already."""

    def _start(self, ctx: foo.ExecutionContext, field: str | None) -> None:
        ctx.panel.set_state({"field": field, "stamp": uuid.uuid4().hex, "groups": {}})
        try:
            groups = {_key(one): {_INPUTS: _called(one)} for one in self._strips(ctx)}
        except PromergeError:
            return
        ctx.panel.set_state("groups", groups)

    def group(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of `group_masks`."""
        ctx.prompt(_GROUP, params={"label_field": ctx.panel.state.field})

    def spread(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of `spread_labels`."""
        ctx.prompt(_SPREAD, params={"label_field": ctx.panel.state.field})

    def look(self, ctx: foo.ExecutionContext) -> None:
        """Shows the masks of one group in the grid, the most doubtful first."""
        field, group = ctx.panel.state.field, ctx.params["group"]
        own = ctx.dataset.filter_labels(field, fo.ViewField("group") == group)
        patches = own.to_patches(field).sort_by(f"{field}.group_confidence")
        ctx.ops.set_view(patches)

    def apply(self, ctx: foo.ExecutionContext) -> None:
        """Writes what was changed: first which groups are one, then the names."""
        field = ctx.panel.state.field
        try:
            merged, named = self._wanted(ctx)
            for name in named.values():
                check_name(name)
            moved = merge_groups(ctx.dataset, field, merged) if merged else 0
            counts = name_groups(ctx.dataset, field, named) if named else {}
        except PromergeError as error:
            ctx.ops.notify(str(error), variant="error")
            return
        said = [f"{name}: {masks:,} masks" for name, masks in counts.items()]
        if moved:
            said.append(f"{moved:,} masks are in another group")
        ctx.ops.reload_dataset()
        ctx.ops.notify("; ".join(said) or "nothing was changed", variant="success")
        self.refresh(ctx)

    def _strips(self, ctx: foo.ExecutionContext) -> list[Strip]:
        field = ctx.panel.state.field
        check_detections_field(ctx.dataset, field)
        return strips(ctx.dataset.name, field, ctx.panel.state.stamp)

    def _wanted(self, ctx: foo.ExecutionContext) -> tuple[dict[int, int], dict[int, str]]:
        """Which groups join others, and the names of those that were changed."""
        merged, named = {}, {}
        for one in self._strips(ctx):
            wanted, before = self._inputs(ctx, one), _called(one)
            if wanted["merge"]:
                merged[one.row.group] = int(wanted["merge"])
            elif wanted["no_object"]:
                if not before["no_object"]:
                    named[one.row.group] = _NO_OBJECT
            elif wanted["name"] and (wanted["name"] != before["name"] or before["no_object"]):
                named[one.row.group] = wanted["name"]
        return merged, named

    def _inputs(self, ctx: foo.ExecutionContext, one: Strip) -> dict[str, Any]:
        given = ctx.panel.get_state(f"groups.{_key(one)}.{_INPUTS}") or {}
        return {**_called(one), **given, "name": (given.get("name") or "").strip()}

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """The whole panel."""
        panel = types.Object()
        view = types.DropdownView(label="Masks of the field", componentsProps=item("100%"))
        for field in masks_fields(ctx.dataset):
            view.add_choice(field, label=field)
        panel.str("field", view=view, on_change=self.choose_field)
        buttons = panel.h_stack("buttons", gap=1, componentsProps=item("100%"))
        try:
            rows = self._strips(ctx) if ctx.panel.state.field else []
        except PromergeError as error:
            rows = []
            notice(panel, "error", str(error), "info")
        if rows:
            buttons.btn("apply", "Apply", on_click=self.apply, variant="contained")
            buttons.btn("refresh", "Refresh", on_click=self.refresh, variant="outlined")
            buttons.btn("spread", "Spread labels", on_click=self.spread, variant="outlined")
        buttons.btn("group", "Group masks", on_click=self.group, variant="outlined")
        groups = panel.v_stack("groups", gap=2, componentsProps=item("100%"))
        for one in rows:
            self._show_row(groups, one, rows)
        return types.Property(panel, view=types.GridView(gap=2, pad=2))

    def _show_row(self, groups: types.Object, one: Strip, rows: list[Strip]) -> None:
        row = groups.v_stack(_key(one), gap=1)
        count = f"Group {one.row.group}, {one.row.masks:,} masks"
        row.str(
            "picture",
            default=one.picture,
            view=types.ImageView(
                height="88px",
                alt=f"{count}; click to see them all",
                operator=self.look,
                params={"group": one.row.group},
            ),
        )
        fields = row.h_stack(_INPUTS, gap=1)
        fields.str("name", view=types.TextFieldView(label=count), on_change=self.redraw)
        merge = types.DropdownView(label="Merge with")
        merge.add_choice("", label="no other group")
        for other in rows:
            if other is not one:
                merge.add_choice(str(other.row.group), label=f"group {other.row.group}")
        fields.str("merge", view=merge, on_change=self.redraw)
        fields.bool(
            "no_object", view=types.CheckboxView(label="Not an object"), on_change=self.redraw
        )


def _key(one: Strip) -> str:
    return f"group_{one.row.group}"


def _called(one: Strip) -> dict[str, Any]:
    """What the inputs of a group show before anything was changed."""
    no_object = one.row.name == _NO_OBJECT
    name = "" if no_object or one.row.name is None else one.row.name
    return {"name": name, "merge": "", "no_object": no_object}
