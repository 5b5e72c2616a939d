"""Command-line flags that commands share, and one for every parameter of a method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click
from click.core import ParameterSource

from promerge_core.registry import BACKBONES, METHODS

Command = TypeVar("Command", bound=Callable[..., Any])


def method_options(command: Command) -> Command:
    """Adds `--method` and a flag for each parameter of each method.

    The ranges are checked before any work starts.
    """
    fields = {
        field.name: field
        for method in METHODS.values()
        for field in dataclasses.fields(method.config)
    }
    for field in reversed(fields.values()):
        option = click.option(
            "--" + field.name.replace("_", "-"),
            type=_click_type(field),
            default=field.default,
            show_default=True,
            help=field.metadata["help"] + ".",
        )
        command = option(command)
    method = click.option(
        "--method", type=click.Choice(list(METHODS)), default="promerge", show_default=True
    )
    return method(command)


def _click_type(field: dataclasses.Field) -> click.ParamType:
    low, high, choices = (field.metadata[name] for name in ("low", "high", "choices"))
    if choices is not None:
        return click.Choice(choices)
    if isinstance(field.default, int):
        return click.IntRange(low, high)
    return click.FloatRange(low, high)


def method_parameters(context: click.Context) -> dict[str, Any]:
    """The flags that are parameters of the chosen method.

    Raises:
        click.UsageError: a parameter of another method was given.
    """
    chosen = context.params["method"]
    names = [field.name for field in dataclasses.fields(METHODS[chosen].config)]
    for method in METHODS.values():
        for field in dataclasses.fields(method.config):
            source = context.get_parameter_source(field.name)
            if field.name not in names and source is ParameterSource.COMMANDLINE:
                flag = "--" + field.name.replace("_", "-")
                raise click.UsageError(f"{flag} is no parameter of the method {chosen}")
    return {name: context.params[name] for name in names}


def batch_size_option(default: int) -> Callable[[Command], Command]:
    """The flag `--batch-size`."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1, 4096),
        default=default,
        show_default=True,
        help="Images in a batch.",
    )


workers_option = click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=1,
    show_default=True,
    help="Processes that read images.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Do everything anew; else an earlier run goes on."
)


def backbone_options(default: str) -> Callable[[Command], Command]:
    """Adds the flags that choose a backbone and where it computes."""
    options = [
        click.option(
            "--backbone",
            default=default,
            show_default=True,
            help=f"One of {', '.join(BACKBONES)}, or any timm ViT as timm:NAME.",
        ),
        click.option(
            "--weights",
            type=click.Path(dir_okay=False),
            help="Local .pth or .safetensors weights; without it the hub's are downloaded.",
        ),
        device_option,
        click.option(
            "--dtype",
            type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
            default="auto",
            show_default=True,
            help="Number type of the backbone; auto is bfloat16 where the hardware has it.",
        ),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
