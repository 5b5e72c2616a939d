"""The operator `name_groups`: finds the panel where people look for operators."""

from __future__ import annotations

import fiftyone.operators as foo

from .group_masks import PANEL


class NameGroups(foo.Operator):
    """Opens the panel `promerge_groups` beside the grid."""

    @property
    def config(self) -> foo.OperatorConfig:
        """See `fiftyone.operators.Operator`."""
        return foo.OperatorConfig(
            name="name_groups",
            label="Name groups (ProMerge)",
            description="Give groups of masks their names, with a row of pictures for each",
            icon="sell",
        )

    def execute(self, ctx: foo.ExecutionContext) -> None:
        """Opens it."""
        ctx.ops.open_panel(PANEL, layout="horizontal")
