"""Forms under construction: values, checks, and what stays hidden until it is asked for."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from promerge_core.parameters import Config, parameter


def names(config, *, main):
    return [one.name for one in config.parameters() if one.is_main == main]


@dataclasses.dataclass(frozen=True)
class Options(Config):
    """Two main parameters and one for experts."""

    width: int = parameter(4, "Pixels", low=1, high=9, is_main=True)
    weights: str | None = parameter(
        None, "A file", type=str, suggestions=("random",), path="file", is_main=True
    )
    depth: int = parameter(2, "Levels", low=1, high=9)


@pytest.fixture
def form(database):
    """An empty form that gets these values from the App."""
    import fiftyone.operators as foo

    from fiftyone_promerge.operators.framework.forms import Form

    return lambda **params: Form(foo.ExecutionContext({"params": params}))


def shown(form):
    return form.property("Title").to_json()["type"]["properties"]


def ask(asked):
    """Asks for the main parameters, and in a section for the others."""
    asked.parameters(Options, names(Options, main=True))
    with asked.section("more", "More"):
        asked.parameters(Options, names(Options, main=False))


def test_a_section_is_closed_where_all_is_as_usual(form):
    plain = form()
    ask(plain)
    assert list(shown(plain)) == ["width", "weights", "more"]
    assert list(shown(plain)["more"]["type"]["properties"]) == ["depth"]
    assert shown(plain)["more"]["view"]["collapsible"]
    assert not shown(plain)["more"]["view"]["default_expanded"]
    assert plain.values == {"width": 4, "weights": None, "depth": 2}


@pytest.mark.parametrize("params", [{"depth": 5}, {"more": {"depth": 5}, "depth": 3}])
def test_a_section_with_another_value_is_open(form, params):
    given = form(**params)
    ask(given)
    assert given.values["depth"] == 5
    assert shown(given)["more"]["view"]["default_expanded"]


def test_a_value_that_opens_the_form_is_shown_in_its_section(form):
    opened = form(depth=5)
    ask(opened)
    assert shown(opened)["more"]["type"]["properties"]["depth"]["default"] == 5


def test_a_wrong_value_in_a_section_makes_the_form_invalid(form):
    wrong = form(more={"depth": 0})
    ask(wrong)
    assert not wrong.valid
    assert shown(wrong)["more"]["view"]["default_expanded"]
    depth = shown(wrong)["more"]["type"]["properties"]["depth"]
    assert depth["error_message"] == "Depth must be between 1 and 9; got 0"


def test_other_defaults_and_other_values(form):
    other = form(width=6)
    other.parameters(Options, ["width", "depth"], defaults={"depth": 7})
    assert other.values == {"width": 6, "depth": 7}
    assert shown(other)["depth"]["default"] == 7


def test_a_wrong_value_makes_the_form_invalid(form):
    wrong = form(width=0)
    assert wrong.valid
    wrong.parameters(Options)
    assert not wrong.valid
    assert "between 1 and 9" in shown(wrong)["width"]["error_message"]


def test_a_check_marks_its_input(form):
    from promerge_core import PromergeError

    def refuse():
        raise PromergeError("not this one")

    checked = form(name=" a ")
    assert checked.text("name", label="Name") == "a"
    assert checked.check("name", lambda: None)
    assert not checked.check("name", refuse)
    assert shown(checked)["name"]["error_message"] == "not this one"


def test_paths_are_expanded_and_must_be_there(form, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "there.pth").touch()
    found = form(weights="~/there.pth")
    found.parameters(Options, ["weights"])
    assert found.values["weights"] == str(tmp_path / "there.pth")
    gone = form(weights="~/gone.pth")
    gone.parameters(Options, ["weights"])
    assert f"there is no {tmp_path}/gone.pth" in shown(gone)["weights"]["error_message"]


def test_a_suggestion_is_no_path(form):
    random = form(weights="random")
    random.parameters(Options, ["weights"])
    assert random.valid and random.values["weights"] == "random"


def test_an_output_folder_need_not_exist_but_must_be_possible(form, tmp_path):
    for path, said in [
        (str(tmp_path / "new" / "folder"), None),
        ("folder", "no absolute path"),
        (f"{__file__}/folder", "is a file, not a folder"),
    ]:
        asked = form(out=path)
        asked.output_folder("out", label="Folder", description="Where")
        assert asked.valid == (said is None)
        assert said is None or said in shown(asked)["out"]["error_message"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_must_be_writable(form, tmp_path):
    locked = Path(tmp_path, "locked")
    locked.mkdir(mode=0o500)
    asked = form(out=str(locked / "new"))
    asked.output_folder("out", label="Folder", description="Where")
    assert "may not be written to" in shown(asked)["out"]["error_message"]
