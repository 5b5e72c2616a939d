"""Declared parameters as the inputs of a FiftyOne form."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from fiftyone.operators import types

from promerge_core.parameters import ConfigError, Parameter

_MOST_RADIO_BUTTONS = 3
_LONGEST_SLIDER = 2.0


def ask(
    inputs: types.Object,
    one: Parameter,
    given: Any,
    *,
    default: Any = None,
    labels: Mapping[str, str] | None = None,
    required: bool = False,
) -> Any:
    """Adds the input of a parameter to a form and checks the value that was given for it.

    Args:
        inputs: the form.
        one: the declaration of the parameter.
        given: what the App sent for it; None where it sent nothing.
        default: the value where none is given; None: the declared one.
        labels: what the form calls the choices; by default as they are.
        required: whether the form cannot be submitted without it.

    Returns:
        the value in the parameter's own type. Where nothing was given, it is the default; where
        the value is not allowed, the form shows why, and it is the default too.
    """
    default = one.default if default is None else default
    value, error = _checked(one, given, default)
    _describe(inputs, one, default, value, labels or {}, required)
    if error is not None:
        mark(inputs, one.name, error)
    return value


def _checked(one: Parameter, given: Any, default: Any) -> tuple[Any, ConfigError | None]:
    """The value, and what is wrong with the one that was given."""
    if isinstance(given, str) and one.choices is None and one.type is str:
        given = given.strip()
        if not given and default is None:
            return None, None
    if given is None:
        return default, None
    try:
        # In the words that the person reads.
        return one._replace(name=one.label).check(given), None
    except ConfigError as error:
        return default, error


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


def suggestions_view(
    values: Collection[str], labels: Mapping[str, str] | None = None, **options: Any
) -> types.AutocompleteView:
    """A text input that suggests values and takes any other one too.

    Args:
        values: what it suggests.
        labels: what each is called; by default as it is.
        **options: as for any view of FiftyOne.

    Returns:
        the view.
    """
    view = types.AutocompleteView(allow_user_input=True, **options)
    for value in values:
        view.add_choice(value, label=(labels or {}).get(value, value))
    return view


def _describe(
    inputs: types.Object,
    one: Parameter,
    default: Any,
    value: Any,
    labels: Mapping[str, str],
    required: bool,
) -> None:
    options = {
        "default": default,
        "label": one.label,
        "description": one.help or None,
        "required": required,
    }
    if one.choices is not None:
        view = _choices_view(one.choices, labels)
        inputs.enum(one.name, list(one.choices), view=view, **options)
    elif one.type is str:
        view = suggestions_view(one.suggestions, labels) if one.suggestions else None
        inputs.str(one.name, view=view, **options)
    elif one.type is bool:
        inputs.bool(one.name, **options)
    else:
        _describe_number(inputs, one, value, options)


def _describe_number(
    inputs: types.Object, one: Parameter, value: Any, options: dict[str, Any]
) -> None:
    """A slider where the range is short, else a field."""
    define = inputs.int if one.type is int else inputs.float
    is_short = one.type is float and _span(one) <= _LONGEST_SLIDER
    if not is_short or one.default is None:
        define(one.name, **options)
        return
    view = types.SliderView(
        label=f"{one.label}: {value:g}",
        space=6,
        description=f"{one.help}; {one.low:g} to {one.high:g}, by default {one.default:g}",
        label_position="top",
        value_label_display="off",
        view_multiple_of=0.01,
    )
    define(one.name, min=one.low, max=one.high, default=options["default"], view=view)


def _span(one: Parameter) -> float:
    return math.inf if one.low is None or one.high is None else one.high - one.low


def _choices_view(values: Collection[str], labels: Mapping[str, str]) -> types.Choices:
    few = len(values) <= _MOST_RADIO_BUTTONS
    view = types.RadioGroup() if few else types.DropdownView()
    for value in values:
        view.add_choice(value, label=labels.get(value, value))
    return view
