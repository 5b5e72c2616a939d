"""Declared parameters as inputs of a form: what kind of input, which value, which complaint."""

from __future__ import annotations

import dataclasses

import pytest

from promerge_core.parameters import Config, parameter


@dataclasses.dataclass(frozen=True)
class Options(Config):
    """One parameter of each kind."""

    count: int = parameter(8, "Images in a batch", low=1, high=10)
    share: float = parameter(0.5, "Of the area", low=0.0)
    again: bool = parameter(False, "Redo everything")
    kind: str = parameter("a", "One of few", choices=("a", "b"))
    device: str = parameter("auto", "Where it computes", suggestions=("cpu", "cuda"))
    weights: str | None = parameter(None, "A file", type=str, label="Weights file")


PARAMETERS = {one.name: one for one in Options.parameters()}


@pytest.fixture
def ask(database):
    """Asks for a parameter in a new form; its value and its property as JSON."""
    from fiftyone.operators import types

    from fiftyone_promerge.inputs import ask

    def run(name, given=None, **options):
        form = types.Object()
        value = ask(form, PARAMETERS[name], given, **options)
        return value, form.to_json()["properties"][name]

    return run


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("count", "Number"),
        ("share", "Number"),
        ("again", "Boolean"),
        ("kind", "Enum"),
        ("device", "String"),
        ("weights", "String"),
    ],
)
def test_an_input_is_what_the_declaration_says(ask, name, type_name):
    value, shown = ask(name)
    declared = PARAMETERS[name]
    assert value == shown["default"] == declared.default
    assert shown["type"]["name"] == type_name
    assert shown["view"]["label"] == declared.label
    assert shown["view"]["description"] == declared.help
    assert not shown["invalid"]


def test_choices_are_shown_by_their_labels(ask):
    _, shown = ask("kind", labels={"a": "The first"})
    assert shown["type"]["values"] == ["a", "b"]
    assert [one["label"] for one in shown["view"]["choices"]] == ["The first", "b"]
    _, shown = ask("device")
    assert [one["value"] for one in shown["view"]["choices"]] == ["cpu", "cuda"]


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("count", 3.0, 3),
        ("share", 1, 1.0),
        ("again", True, True),
        ("kind", "b", "b"),
        ("device", " cuda:1 ", "cuda:1"),
        ("weights", "  ", None),
        ("weights", "dino.pth", "dino.pth"),
    ],
)
def test_what_is_allowed_is_taken_in_its_own_type(ask, name, given, value):
    taken, shown = ask(name, given)
    assert taken == value and type(taken) is type(value)
    assert not shown["invalid"]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("count", 0, "between 1 and 10"),
        ("count", 2.5, "whole number"),
        ("count", "many", "finite number"),
        ("share", float("inf"), "finite number"),
        ("again", "yes", "true or false"),
        ("kind", "c", "one of a, b"),
        ("device", 3, "must be text"),
    ],
)
def test_what_is_not_allowed_is_marked_and_the_default_taken(ask, name, given, said):
    taken, shown = ask(name, given)
    assert taken == PARAMETERS[name].default
    assert shown["invalid"] and said in shown["error_message"]
