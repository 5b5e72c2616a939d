"""The forms of operators: every value is checked while the person types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge import inputs
from promerge_core import PromergeError
from promerge_core.parameters import Config, Parameter

from .checks import check_output_folder, check_readable, expanded


class Form:
    """A form under construction.

    Args:
        ctx: the operator's context.

    Attributes:
        inputs: FiftyOne's description of the form.
        values: every value by name, in its own type: what was given where that is allowed, else
            the default.
    """

    def __init__(self, ctx: foo.ExecutionContext) -> None:
        self.inputs = types.Object()
        self.values: dict[str, Any] = {}
        self._params = ctx.params

    @property
    def valid(self) -> bool:
        """Whether every check so far found nothing wrong."""
        return not any(one.invalid for one in self.inputs.properties.values())

    def check(self, name: str, check: Callable[[], Any]) -> bool:
        """Shows what a check raises beside the input `name`.

        Args:
            name: the name of an input that was asked for.
            check: raises PromergeError where something is wrong.

        Returns:
            whether it raised nothing.
        """
        try:
            check()
        except PromergeError as error:
            inputs.mark(self.inputs, name, error)
            return False
        return True

    def is_given(self, names: Iterable[str]) -> bool:
        """Whether any of these values was given, and is not left to its default."""
        return any(self._params.get(name) is not None for name in names)

    def parameters(
        self,
        config: type[Config],
        names: Collection[str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Asks for declared parameters.

        Args:
            config: declares them.
            names: those to ask for; None asks for all.
            defaults: other defaults than the declared ones, by the parameter's name.
            labels: what the form calls the choices of parameters; by default as they are.
        """
        for one in config.parameters():
            if names is None or one.name in names:
                default = (defaults or {}).get(one.name, one.default)
                self._ask(one._replace(default=default), labels)

    def main_parameters_first(
        self, config: type[Config], labels: Mapping[str, str] | None = None
    ) -> None:
        """Asks for the main parameters of a config, and for the others where a person wants to.

        Args:
            config: declares them, and which are the main ones.
            labels: what the form calls the choices of parameters; by default as they are.
        """
        others = names(config, main=False)
        self.parameters(config, names(config, main=True), labels=labels)
        if others and self.flag(
            "advanced",
            self.is_given(others),
            label="Advanced",
            description="Show all parameters",
        ):
            self.parameters(config, others, labels=labels)

    def flag(self, name: str, default: bool = False, *, label: str, description: str = "") -> bool:
        """Asks yes or no.

        Args:
            name: the value's name.
            default: the value where none is given.
            label: what the form calls it.
            description: one line that says what it means.

        Returns:
            the value.
        """
        return self._ask(Parameter(name, bool, default, description, label))

    def choice(self, name: str, labels: Mapping[str, str], default: str, *, label: str) -> str:
        """Asks for one of several values.

        Args:
            name: the value's name.
            labels: the allowed values, and what the form calls each.
            default: the value where none is given.
            label: what the form calls the whole.

        Returns:
            the value.
        """
        return self._ask(Parameter(name, str, default, "", label, choices=labels), labels)

    def text(
        self,
        name: str,
        default: str | None = None,
        suggestions: Collection[str] = (),
        *,
        label: str,
        description: str = "",
        is_path: bool = False,
        required: bool = False,
    ) -> Any:
        """Asks for one line of text.

        Args:
            name: the value's name.
            default: the value where none is given.
            suggestions: values to offer; others are allowed too.
            label: what the form calls it.
            description: one line that says what it means.
            is_path: whether it is the path of a file or folder that can be read.
            required: whether the form cannot be submitted without it.

        Returns:
            the text without spaces around it, a path with its `~` expanded; None where nothing
            is given and there is no default.
        """
        one = Parameter(
            name,
            str,
            default,
            description,
            label,
            suggestions=suggestions,
            path="file" if is_path else None,
        )
        return self._ask(one, required=required)

    def output_folder(
        self, name: str, *, label: str, description: str, required: bool = False
    ) -> str | None:
        """Asks for the path of a folder to write to, which need not exist.

        Args:
            name: the value's name.
            label: what the form calls it.
            description: one line that says what it means.
            required: whether the form cannot be submitted without it.

        Returns:
            the path with its `~` expanded; None where nothing is given.
        """
        given = self.text(name, label=label, description=description, required=required)
        if given is None:
            return None
        folder = self.values[name] = expanded(given)
        self.check(name, lambda: check_output_folder(folder))
        return folder

    def property(self, label: str) -> types.Property:
        """The form, ready for `resolve_input`."""
        return types.Property(self.inputs, view=types.View(label=label))

    def _ask(
        self, one: Parameter, labels: Mapping[str, str] | None = None, required: bool = False
    ) -> Any:
        given = self._params.get(one.name)
        value = inputs.ask(self.inputs, one, given, labels=labels, required=required)
        # What is suggested is right as it is, even where it is no path: `random`, for weights.
        if one.path is not None and value is not None and value not in one.suggestions:
            value = expanded(value)
            self.check(one.name, lambda: check_readable(value))
        self.values[one.name] = value
        return value


def names(config: type[Config], *, main: bool) -> list[str]:
    """The names of the main parameters of a config, or of all others.

    Args:
        config: declares them.
        main: which of the two.

    Returns:
        the names, in the order of the declarations.
    """
    return [one.name for one in config.parameters() if one.is_main == main]
