"""The operator `stop_run`: stops a run that the App shows progress of."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.running import RUNS
from fiftyone_promerge.operators.framework.target import tell_scheduled


class StopRun(foo.Operator):
    """Asks a run to stop after the batch at hand; what is done is kept."""

    @property
    def config(self) -> foo.OperatorConfig:
        """See `fiftyone.operators.Operator`."""
        return foo.OperatorConfig(
            name="stop_run",
            label="Stop a run (ProMerge)",
            description="Stop a run that is under way, keeping what it did; see what is scheduled",
            icon="stop_circle",
            dynamic=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form: which run."""
        form = Form(ctx)
        names = RUNS.names()
        if names:
            form.choice("name", {name: name for name in names}, names[-1], label="Run")
        else:
            form.inputs.view("none", types.Notice(label="No run is under way in the App."))
        tell_scheduled(form, ctx.dataset)
        return form.property("Stop a run")

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Stops it."""
        name = ctx.params.get("name", "")
        stopped = RUNS.stop(name)
        ctx.ops.notify(f"{name} is being stopped" if stopped else "No such run is under way")
        return {"name": name, "stopped": stopped}
