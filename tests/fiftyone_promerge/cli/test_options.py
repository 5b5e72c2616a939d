"""Flags made from declarations."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import rich_click as click

from fiftyone_promerge.cli.options import declared_options, is_given, method_parameters
from promerge_core.parameters import Config, parameter
from promerge_core.registry import METHODS


@dataclasses.dataclass(frozen=True)
class Options(Config):
    """One parameter of each kind."""

    count: int = parameter(8, "Images in a batch", low=1, high=10, flags=("--many",))
    share: float = parameter(0.5, "Of the area", low=0.0, high=1.0)
    again: bool = parameter(False, "Redo everything")
    kind: str = parameter("a", "One of few", choices=("a", "b"))
    weights: str | None = parameter(None, "A file", type=str, path="file")


def taken(arguments: list[str], *configs: type[Config], **choice: Any) -> dict[str, Any]:
    """What a command with the flags of these configs takes from the arguments."""

    @click.command()
    @declared_options(*configs, **choice)
    def command(**flags: Any) -> dict[str, Any]:
        return flags

    return command(arguments, standalone_mode=False)


def test_help_lists_every_parameter(promerge):
    shown = promerge.message(promerge("generate", "--help"))
    for method in METHODS.values():
        for field in dataclasses.fields(method.config):
            assert "--" + field.name.replace("_", "-") in shown


def test_a_flag_for_each_parameter_with_its_default():
    assert taken([], Options) == Options().to_dict()
    assert taken([], Options, names=["share"], defaults={"share": 0.25}) == {"share": 0.25}


def test_flags_give_values_in_their_own_type():
    arguments = ["--many", "3", "--share", "1", "--again", "--kind", "b", "--weights", "x.pth"]
    expected = Options(count=3, share=1.0, again=True, kind="b", weights="x.pth")
    assert Options.pick(taken(arguments, Options)) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "0"], "1<=x<=10"),
        (["--count", "2.5"], "not a valid integer"),
        (["--share", "2"], "0.0<=x<=1.0"),
        (["--kind", "c"], "'a', 'b'"),
        (["--weights", "/"], "is a directory"),
    ],
)
def test_a_value_that_is_not_allowed_is_a_usage_error(arguments: list[str], said: str):
    with pytest.raises(click.UsageError, match=said):
        taken(arguments, Options)


def test_a_parameter_of_another_method_is_refused():
    context = click.Context(click.Command("generate"))
    context.params = {"method": "promerge", "tau": 0.2, "affinity_threshold": 0.3}
    for name in ("tau", "affinity_threshold"):
        context.set_parameter_source(name, click.core.ParameterSource.COMMANDLINE)
    assert is_given(context, "tau") and not is_given(context, "n_masks")
    with pytest.raises(click.UsageError, match="--tau is no parameter of the method promerge"):
        method_parameters(context)
    context.set_parameter_source("tau", click.core.ParameterSource.DEFAULT)
    assert method_parameters(context) == {"affinity_threshold": 0.3}
