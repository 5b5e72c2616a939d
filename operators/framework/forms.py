"""The forms of operators: every value is checked while the person types."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
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
        self._section: str | None = None
        self._homes: dict[str, types.Object] = {}
        self._unusual: set[str] = set()

    @property
    def valid(self) -> bool:
        """Whether every check so far found nothing wrong."""
        return not any(home.get_property(name).invalid for name, home in self._homes.items())

    @contextlib.contextmanager
    def section(self, name: str, label: str) -> Iterator[None]:
        """What is asked for inside stands below a heading, and is shown when that is clicked.

        It is shown at once where something in it is not as usual. The App sends its values as a
        dict of that name; from Python they may be given as any other value too.

        Args:
            name: the section's name.
            label: the heading.
        """
        outer, self.inputs, self._section = self.inputs, types.Object(), name
        try:
            yield
        finally:
            inner, self.inputs, self._section = self.inputs, outer, None
            is_usual = self._unusual.isdisjoint(inner.properties)
            view = types.ObjectView(label=label, collapsible=True, default_expanded=not is_usual)
            self.inputs.define_property(name, inner, view=view)

    def given(self, name: str, section: str | None = None) -> Any:
        """What the App sent for a value.

        Args:
            name: the value's name.
            section: the section that it stands in; by default the one that is being made.

        Returns:
            the value, sent in the section or outside of it; None where nothing was sent.
        """
        section = section or self._section
        inside = self._params.get(section) if section else None
        value = inside.get(name) if isinstance(inside, dict) else None
        return self._params.get(name) if value is None else value

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
            inputs.mark(self._homes[name], name, error)
            return False
        return True

    def parameters(
        self,
        config: type[Config],
        names: Collection[str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        said: Mapping[str, str] | None = None,
    ) -> None:
        """Asks for declared parameters.

        Args:
            config: declares them.
            names: those to ask for; None asks for all.
            defaults: other defaults than the declared ones, by the parameter's name.
            labels: what the form calls the choices of parameters; by default as they are.
            said: what the form says of a parameter instead of its declared help, by its name.
        """
        for one in config.parameters():
            if names is None or one.name in names:
                here = one._replace(help=(said or {}).get(one.name, one.help))
                self._ask(here, labels, default=(defaults or {}).get(one.name))

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
        self,
        name: str,
        *,
        label: str,
        description: str,
        default: str | None = None,
        required: bool = False,
    ) -> str | None:
        """Asks for the path of a folder to write to, which need not exist.

        Args:
            name: the value's name.
            label: what the form calls it.
            description: one line that says what it means.
            default: the folder where none is given.
            required: whether the form cannot be submitted without it.

        Returns:
            the path with its `~` expanded; None where there is none.
        """
        given = self.text(name, default, label=label, description=description, required=required)
        if given is None:
            return None
        folder = self.values[name] = expanded(given)
        self.check(name, lambda: check_output_folder(folder))
        return folder

    def property(self, label: str) -> types.Property:
        """The form, ready for `resolve_input`; a section says what is wrong inside."""
        for section in self.inputs.properties.values():
            inside = getattr(section.type, "properties", {}).values()
            wrong = next((one for one in inside if one.invalid), None)
            if wrong is not None:
                section.invalid, section.error_message = True, wrong.error_message
        return types.Property(self.inputs, view=types.View(label=label))

    def _ask(
        self,
        one: Parameter,
        labels: Mapping[str, str] | None = None,
        required: bool = False,
        default: Any = None,
    ) -> Any:
        given = self.given(one.name)
        options = {"default": default, "labels": labels, "required": required}
        value = inputs.ask(self.inputs, one, given, **options)
        self._homes[one.name] = self.inputs
        if self._section is not None and given is not None and given == self._params.get(one.name):
            # What opens the form knows no sections; the App shows what is in them, or defaults.
            self.inputs.get_property(one.name).default = value
        usual = one.default if default is None else default
        if value != usual or self.inputs.get_property(one.name).invalid:
            self._unusual.add(one.name)
        # What is suggested is right as it is, even where it is no path: `random`, for weights.
        if one.path is not None and value is not None and value not in one.suggestions:
            value = expanded(value)
            self.check(one.name, lambda: check_readable(value))
        self.values[one.name] = value
        return value


def names(config: type[Config], *groups: str, main: bool | None = None) -> list[str]:
    """The names of those parameters of a config that are of some groups.

    Args:
        config: declares them.
        groups: the groups; without any, all are.
        main: the main parameters alone, or all others alone; None takes both.

    Returns:
        the names, in the order of the declarations.
    """
    return [
        one.name
        for one in config.parameters()
        if (not groups or one.group in groups) and main in (None, one.is_main)
    ]
