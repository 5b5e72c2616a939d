"""Flags that commands share, made from the declarations of parameters and options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
from click.core import ParameterSource

from promerge_core.parameters import Config, Parameter
from promerge_core.registry import METHODS, PRESETS

Command = TypeVar("Command", bound=Callable[..., Any])


def declared_options(
    *configs: type[Config],
    names: Collection[str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Callable[[Command], Command]:
    """Adds a flag for each declared parameter; ranges are checked before any work starts.

    A command takes the values as `**flags`; `SomeConfig.pick(flags)` has those of one config.

    Args:
        configs: declare the parameters; what several of them declare is one flag.
        names: the parameters to take; None takes all.
        defaults: other defaults than the declared ones, by the parameter's name.

    Returns:
        the decorator of a command.
    """
    declared = {one.name: one for config in configs for one in config.parameters()}
    wanted = [
        one._replace(default=(defaults or {}).get(name, one.default))
        for name, one in declared.items()
        if names is None or name in names
    ]

    def decorate(command: Command) -> Command:
        for one in reversed(wanted):
            command = _option(one)(command)
        return command

    return decorate


def method_options(command: Command) -> Command:
    """Adds `--method` and a flag for each parameter of each method."""
    described = "; ".join(f"{name}: {entry.help}" for name, entry in METHODS.items())
    method = click.option(
        "--method",
        type=click.Choice(list(METHODS)),
        default="promerge",
        show_default=True,
        help=f"{described}.",
        panel="Model",
    )
    kinds = "; ".join(f"{name}: {entry.help}" for name, entry in PRESETS.items())
    preset = click.option(
        "--preset",
        panel="Model",
        metavar="NAME",
        help=f"Parameters of ProMerge that suit a "
        f"kind of image; other flags go before it. {kinds}.",
    )
    return method(preset(declared_options(*(entry.config for entry in METHODS.values()))(command)))


def method_parameters(context: click.Context) -> dict[str, Any]:
    """The parameters of the chosen method that were given, and the preset.

    Raises:
        click.UsageError: a parameter of another method was given.
    """
    chosen = context.params["method"]
    own = _parameters(chosen)
    others = set().union(*map(_parameters, METHODS)) - own
    for name in sorted(others):
        if is_given(context, name):
            other = next(m for m in METHODS if name in _parameters(m))
            raise click.UsageError(
                f"{flag(name)} is no parameter of the method {chosen} but of {other}; leave it "
                f"out, or add --method {other}"
            )
    given = {name for name in (*own, "preset") if is_given(context, name)}
    return {name: context.params[name] for name in given}


def _parameters(method: str) -> set[str]:
    return {one.name for one in METHODS[method].config.parameters()}


def overwrite_option(command: Command) -> Command:
    """Adds `--overwrite` for the files that a command writes, see `check_output_file`."""
    return click.option("--overwrite", is_flag=True, help="Replace files that are there.")(command)


def check_output_file(path: Path | None, overwrite: bool, *, makes_folder: bool = False) -> None:
    """Makes sure, before any work, that a file of results can be written.

    Args:
        path: the file; None where none was asked for.
        overwrite: whether one that is there may be replaced.
        makes_folder: whether its folder is made where it is not there, as for pictures.

    Raises:
        RunError: it cannot; see `promerge_core.runs.outputs.check_new_file`.
    """
    from promerge_core.runs.outputs import check_new_file

    if path is not None:
        check_new_file(path, overwrite, makes_folder=makes_folder)


def is_given(context: click.Context, name: str) -> bool:
    """Whether the flag of a parameter was given.

    Args:
        context: the call of the command.
        name: the parameter's name.

    Returns:
        False where it has its default.
    """
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def flag(name: str) -> str:
    """The flag of a parameter."""
    return "--" + name.replace("_", "-")


def _option(one: Parameter) -> Callable[[Command], Command]:
    name = flag(one.name)
    if one.type is bool and one.default:
        name += f"/--no-{one.name}"
    return click.option(
        name,
        *one.flags,
        one.name,
        type=_click_type(one),
        is_flag=one.type is bool,
        default=one.default,
        show_default=one.type is not bool,
        help=f"{one.help}.",
        panel=one.group or None,
    )


def _click_type(one: Parameter) -> click.ParamType:
    if one.choices is not None:
        return click.Choice(list(one.choices))
    if one.path is not None:
        return click.Path(file_okay=one.path == "file", dir_okay=one.path == "folder")
    if one.type in (int, float):
        make: Any = click.IntRange if one.type is int else click.FloatRange
        return make(one.low, one.high)
    return click.BOOL if one.type is bool else click.STRING
