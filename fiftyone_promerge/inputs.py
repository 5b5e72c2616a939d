"""Declared parameters as the inputs of a FiftyOne form."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fiftyone.operators import types

from promerge_core.parameters import ConfigError, Parameter

_MOST_RADIO_BUTTONS = 3


def ask(
    inputs: types.Object,
    one: Parameter,
    given: Any,
    *,
    labels: Mapping[str, str] | None = None,
    required: bool = False,
) -> Any:
    """Adds the input of a parameter to a form and checks the value that was given for it.

    Args:
        inputs: the form.
        one: the declaration of the parameter.
        given: what the App sent for it; None where it sent nothing.
        labels: what the form calls the choices; by default as they are.
        required: whether the form cannot be submitted without it.

    Returns:
        the value in the parameter's own type. Where nothing was given, it is the default; where
        the value is not allowed, the form shows why, and it is the default too.
    """
    _describe(inputs, one, labels or {}, required)
    if isinstance(given, str) and one.choices is None and one.type is str:
        given = given.strip()
        if not given and one.default is None:
            return None
    if given is None:
        return one.default
    try:
        return one.check(given)
    except ConfigError as error:
        mark(inputs, one.name, error)
        return one.default


def mark(inputs: types.Object, name: str, error: Exception) -> None:
    """Shows an error beside an input, so that the form cannot be submitted.

    Args:
        inputs: the form.
        name: the name of the input.
        error: its message is shown.
    """
    marked = inputs.get_property(name)
    marked.invalid = True
    marked.error_message = str(error)


def suggestions_view(values: Collection[str], **options: Any) -> types.AutocompleteView:
    """A text input that suggests values and takes any other one too.

    Args:
        values: what it suggests.
        **options: as for any view of FiftyOne.

    Returns:
        the view.
    """
    view = types.AutocompleteView(allow_user_input=True, **options)
    for value in values:
        view.add_choice(value, label=value)
    return view


def _describe(
    inputs: types.Object, one: Parameter, labels: Mapping[str, str], required: bool
) -> None:
    options = {
        "default": one.default,
        "label": one.label,
        "description": one.help or None,
        "required": required,
    }
    if one.choices is not None:
        view = _choices_view(one.choices, labels)
        inputs.enum(one.name, list(one.choices), view=view, **options)
    elif one.type is str:
        view = suggestions_view(one.suggestions) if one.suggestions else None
        inputs.str(one.name, view=view, **options)
    else:
        define = {bool: inputs.bool, int: inputs.int, float: inputs.float}[one.type]
        define(one.name, **options)


def _choices_view(values: Collection[str], labels: Mapping[str, str]) -> types.Choices:
    few = len(values) <= _MOST_RADIO_BUTTONS
    view = types.RadioGroup() if few else types.DropdownView()
    for value in values:
        view.add_choice(value, label=labels.get(value, value))
    return view
