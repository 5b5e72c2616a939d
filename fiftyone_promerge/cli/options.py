"""Command-line flags that commands share, and one for every parameter of a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click
from click.core import ParameterSource

from promerge_core.parameters import Config, Parameter
from promerge_core.registry import METHODS

Command = TypeVar("Command", bound=Callable[..., Any])


def method_options(command: Command) -> Command:
    """Adds `--method` and a flag for each parameter of each method.

    The ranges are checked before any work starts.
    """
    declared = {one.name: one for method in METHODS.values() for one in method.config.parameters()}
    for one in reversed(declared.values()):
        command = _option(one, one.default)(command)
    method = click.option(
        "--method", type=click.Choice(list(METHODS)), default="promerge", show_default=True
    )
    return method(command)


def declared_options(
    config: type[Config], *names: str, **defaults: Any
) -> Callable[[Command], Command]:
    """Adds flags for the declared parameters of a config.

    Args:
        config: the config.
        names: which of its parameters; by default all.
        defaults: defaults by name that are the command's own.

    Returns:
        a decorator of commands.
    """
    chosen = [one for one in config.parameters() if not names or one.name in names]

    def decorate(command: Command) -> Command:
        for one in reversed(chosen):
            command = _option(one, defaults.get(one.name, one.default))(command)
        return command

    return decorate


def _option(one: Parameter, default: Any) -> Callable[[Command], Command]:
    """The flag of a declared parameter."""
    flags = ["--" + one.name.replace("_", "-"), *one.flags]
    if one.type is bool:
        return click.option(*flags, one.name, is_flag=True, help=f"{one.help}.")
    return click.option(
        *flags,
        one.name,
        type=_click_type(one),
        default=default,
        show_default=default is not None,
        help=f"{one.help}.",
    )


def _click_type(one: Parameter) -> click.ParamType:
    if one.choices is not None:
        return click.Choice(list(one.choices))
    if one.path is not None:
        return click.Path(dir_okay=one.path == "folder", file_okay=one.path == "file")
    if one.type is int:
        low, high = (None if end is None else int(end) for end in (one.low, one.high))
        return click.IntRange(low, high)
    return click.FloatRange(one.low, one.high) if one.type is float else click.STRING


def method_parameters(context: click.Context) -> dict[str, Any]:
    """The flags that are parameters of the chosen method.

    Raises:
        click.UsageError: a parameter of another method was given.
    """
    chosen = context.params["method"]
    names = [one.name for one in METHODS[chosen].config.parameters()]
    for method in METHODS.values():
        for one in method.config.parameters():
            source = context.get_parameter_source(one.name)
            if one.name not in names and source is ParameterSource.COMMANDLINE:
                flag = "--" + one.name.replace("_", "-")
                raise click.UsageError(f"{flag} is no parameter of the method {chosen}")
    return {name: context.params[name] for name in names}
