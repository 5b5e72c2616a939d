"""What every operator that runs for a while has in common: a form, a run, an output."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge import plugin

from .forms import Form
from .running import Report, execute
from .target import tell_scheduled

_NO_SCHEDULE = (
    "*Schedule* is off: it needs the App's server to be started by `promerge app`, or with "
    "`FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS=true` in its environment."
)


class RunOperator(foo.Operator, abc.ABC):
    """An operator whose form is checked on the server, and whose run shows its progress.

    Attributes:
        name: the operator's name.
        label: what the operator browser shows, and what stands above form and output.
        description: one line that says what it is for.
        icon: name of a Material icon.
        delegated: whether its form begins with delegated execution chosen.
        for_samples: whether the person chooses dataset, view or selection.
        unlisted: whether only another operator starts it, and nobody finds it in the list.
        help_page: the page of the documentation that its form leads to.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    icon: ClassVar[str]
    delegated: ClassVar[bool] = False
    for_samples: ClassVar[bool] = True
    unlisted: ClassVar[bool] = False
    help_page: ClassVar[str] = "app"

    @abc.abstractmethod
    def form(self, ctx: foo.ExecutionContext) -> Form:
        """The form, with every value checked."""

    @abc.abstractmethod
    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """What a run is called while it is under way; no two runs may have the same name.

        Args:
            ctx: the operator's context.
            values: the form's values.

        Returns:
            a name for people, such as `promerge of my-dataset`.
        """

    @abc.abstractmethod
    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """Does the work.

        Args:
            ctx: the operator's context.
            values: the form's values.
            report: to be told how far the work is.

        Returns:
            the operator's result, ready for JSON.

        Raises:
            PromergeError: the work failed; the message says why and what to do.
        """

    @abc.abstractmethod
    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """Adds what a person is told of a result.

        Args:
            ctx: the operator's context.
            outputs: the output to add to.
            result: what `work` returned.
        """

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """Makes the App show what a run that succeeded has changed.

        Args:
            ctx: the operator's context.
            result: what `work` returned.

        Returns:
            the messages for the App.
        """
        yield ctx.ops.reload_dataset()

    def show_partial(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> Iterator[Any]:
        """Makes the App show what a run that was stopped or failed has changed.

        Args:
            ctx: the operator's context.
            values: the form's values.

        Returns:
            the messages for the App.
        """
        yield ctx.ops.reload_dataset()

    @property
    def config(self) -> foo.OperatorConfig:
        """See `fiftyone.operators.Operator`."""
        return foo.OperatorConfig(
            name=self.name,
            label=self.label,
            description=self.description,
            icon=self.icon,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=not self.unlisted,
            unlisted=self.unlisted,
            default_choice_to_delegated=self.delegated,
            view_target=self.for_samples,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form."""
        form = self.form(ctx)
        if not self.unlisted:
            tell_scheduled(form, ctx.dataset)
            if not fo.config.allow_legacy_orchestrators:
                form.inputs.md(_NO_SCHEDULE, name="no_schedule")
        form.inputs.md(f"[Help]({plugin.help_link(self.help_page)})", name="help")
        return form.property(self.label)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Does the work; see `running.execute`."""
        values = self.form(ctx).values

        def show(result: dict[str, Any]) -> Iterator[Any]:
            if "error" in result:
                yield from self.show_partial(ctx, values)
            else:
                yield from self.show(ctx, result)
            # In the dialog that showed the progress, which would cover any other.
            yield ctx.ops.show_output(self._output(ctx, result).to_json(), result)

        return execute(
            ctx,
            self.run_name(ctx, values),
            lambda report: self.work(ctx, values, report),
            show,
        )

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The output of a delegated run; that of another one is shown by the run itself."""
        if ctx.delegated:
            return self._output(ctx, ctx.results)
        return types.Property(types.Object())

    def _output(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> types.Property:
        outputs = types.Object()
        if result.get("stopped"):
            outputs.view("stopped", types.Notice(label="Stopped", description=result["error"]))
        elif "error" in result:
            view = types.Error(label="It did not work", description=result["error"])
            outputs.view("error", view)
        else:
            self.describe(ctx, outputs, result)
        return types.Property(outputs, view=types.View(label=self.label))
