"""Command-line flags: one for every parameter of a config, with its range."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

from promerge_core.backbones import BACKBONES
from promerge_core.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])


def config_options(config_class: type[Config]) -> Callable[[Command], Command]:
    """Adds a flag for each parameter of a config; its range is checked before any work starts."""

    def decorate(command: Command) -> Command:
        for field in reversed(dataclasses.fields(config_class)):
            option = click.option(
                "--" + field.name.replace("_", "-"),
                type=_click_type(field),
                default=field.default,
                show_default=True,
                help=field.metadata["help"] + ".",
            )
            command = option(command)
        return command

    return decorate


def _click_type(field: dataclasses.Field) -> click.ParamType:
    low, high, choices = (field.metadata[name] for name in ("low", "high", "choices"))
    if choices is not None:
        return click.Choice(choices)
    if isinstance(field.default, int):
        return click.IntRange(low, high)
    return click.FloatRange(low, high)


def config_values(config_class: type[Config], flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that are parameters of the config."""
    return {field.name: flags[field.name] for field in dataclasses.fields(config_class)}


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
        click.option(
            "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
        ),
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
