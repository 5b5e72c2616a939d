"""The operator `open_inspector`: finds the inspector where people look for operators."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators import types

_PANEL = "promerge_inspector"


class OpenInspector(foo.Operator):
    """Opens the panel `promerge_inspector`, beside the grid or beside the open sample."""

    @property
    def config(self) -> foo.OperatorConfig:
        """See `fiftyone.operators.Operator`."""
        return foo.OperatorConfig(
            name="open_inspector",
            label="Open the ProMerge inspector",
            description="How each mask came to be, stage by stage, with thresholds to try",
            icon="troubleshoot",
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """A button at the open sample; FiftyOne shows a text only where there is no icon."""
        return types.Placement(
            types.Places.SAMPLES_VIEWER_ACTIONS,
            types.Button(label="ProMerge inspector", prompt=False),
        )

    def execute(self, ctx: foo.ExecutionContext) -> None:
        """Opens it."""
        ctx.ops.open_panel(_PANEL, layout="horizontal")
