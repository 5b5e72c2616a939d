"""Declared parameters: what their check allows, and the functions that take them."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest

from promerge_core.parameters import Config, ConfigError, parameter, spoken, takes


@dataclasses.dataclass(frozen=True)
class Options(Config):
    """One parameter of each kind."""

    count: int = parameter(4, "Things in a box", low=1)
    share: float = parameter(0.5, "Part of the whole", low=0.0, high=1.0, is_main=True)
    cold: float = parameter(-1.0, "Degrees", high=0.0)
    free: float = parameter(0.0, "Any number")
    again: bool = parameter(False, "Do all of it again", decides=False)
    kind: str = parameter("round", "Shape", choices=("round", "flat"), label="Form")
    place: str = parameter("here", "Where", suggestions=("here", "there"))
    file: str | None = parameter(None, "What to read", type=str, path="file", flags=("--input",))
    limit: int | None = parameter(None, "At most so many", type=int, low=1)


DECLARED = {one.name: one for one in Options.parameters()}


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("count", 1, 1),
        ("count", 10**9, 10**9),
        ("count", 7.0, 7),
        ("count", np.int32(7), 7),
        ("share", 0, 0.0),
        ("share", 1, 1.0),
        ("share", np.float32(0.25), 0.25),
        ("cold", -1e30, -1e30),
        ("free", 1e30, 1e30),
        ("again", True, True),
        ("kind", "flat", "flat"),
        ("place", "elsewhere", "elsewhere"),
        ("place", "", ""),
        ("file", None, None),
        ("file", Path("a", "b.png"), str(Path("a", "b.png"))),
        ("limit", None, None),
        ("limit", 3.0, 3),
    ],
)
def test_an_allowed_value_is_kept_in_the_parameters_own_type(name, given, kept):
    value = DECLARED[name].check(given)
    assert (value, type(value)) == (kept, type(kept))
    assert getattr(Options(**{name: given}), name) == kept


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("count", 0, "at least 1; got 0"),
        ("count", 1.5, r"a whole number; got 1\.5"),
        ("count", True, "a finite number; got True"),
        ("count", "4", "a finite number; got '4'"),
        ("count", None, "a finite number; got None"),
        ("share", 1.01, r"between 0\.0 and 1\.0; got 1\.01"),
        ("share", -0.01, r"between 0\.0 and 1\.0; got -0\.01"),
        ("share", math.nan, "a finite number; got nan"),
        ("cold", 0.5, r"at most 0\.0; got 0\.5"),
        ("free", math.inf, "a finite number; got inf"),
        ("free", 1j, "a finite number; got 1j"),
        ("again", 1, "true or false; got 1"),
        ("again", "yes", "true or false; got 'yes'"),
        ("kind", "square", "one of round, flat; got 'square'"),
        ("kind", ["round"], r"one of round, flat; got \['round'\]"),
        ("place", 5, "text; got 5"),
        ("place", None, "text; got None"),
        ("file", 5, "text; got 5"),
        ("limit", 0, "at least 1; got 0"),
    ],
)
def test_another_value_is_refused_in_words(name, given, said):
    with pytest.raises(ConfigError, match=f"^{name} must be {said}$"):
        DECLARED[name].check(given)
    with pytest.raises(ConfigError, match=f"^{name} must be {said}$"):
        Options(**{name: given})


def test_a_declaration_says_all_that_flags_forms_and_runs_need():
    share, kind, file, again = (DECLARED[name] for name in ("share", "kind", "file", "again"))
    assert list(DECLARED) == [field.name for field in dataclasses.fields(Options)]
    assert (share.type, share.default, share.low, share.high) == (float, 0.5, 0.0, 1.0)
    assert (share.label, share.help, share.is_main) == ("Share", "Part of the whole", True)
    assert (kind.type, kind.label, kind.choices) == (str, "Form", ("round", "flat"))
    assert (file.type, file.path, file.flags) == (str, "file", ("--input",))
    assert (file.is_main, file.decides, again.decides) == (False, True, False)
    assert DECLARED["place"].suggestions == ("here", "there")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("count", "at least 1"),
        ("share", "between 0.0 and 1.0"),
        ("cold", "at most 0.0"),
        ("free", ""),
    ],
)
def test_the_range_is_said_in_words(name, words):
    assert DECLARED[name].range == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("seed_stride", "Seed stride"),
        ("refine_iou", "Refine IoU"),
        ("crf_iterations", "CRF iterations"),
        ("tau", "Tau"),
    ],
)
def test_a_name_is_spoken_as_a_person_reads_it(name, words):
    assert spoken(name) == words


def test_values_come_from_a_dict_and_go_back_to_it():
    options = Options(count=2, file="x.png")
    assert Options.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    with pytest.raises(ConfigError, match=r"^Options has no parameter 'colour'; it has: count, "):
        Options.from_dict({"count": 2, "colour": "red"})
    with pytest.raises(ConfigError, match=r"^count must be at least 1; got 0$"):
        Options.from_dict({"count": 0})


def test_a_config_picks_its_own_values_out_of_others():
    assert Options.pick({"count": 2, "colour": "red"}) == Options(count=2)
    assert Options.pick({}) == Options()
    with pytest.raises(ConfigError, match=r"^count must be at least 1"):
        Options.pick({"count": 0, "colour": "red"})


@dataclasses.dataclass(frozen=True)
class Paint(Config):
    """Parameters beside the other ones."""

    colour: str = parameter("red", "What it looks like", choices=("red", "blue"))


@takes(Options, Paint, share=0.75)
def build(what, *, where="shelf", **options):
    """Builds something.

    Args:
        what: the thing.
        where: its place.
        **options: see above.

    Returns:
        all that was given.
    """
    return what, where, options


def test_a_function_takes_declared_parameters_as_its_own():
    defaults = {**Options(share=0.75).to_dict(), **Paint().to_dict()}
    given = {"count": 2, "colour": "blue"}
    assert build("box", **given) == ("box", "shelf", {**defaults, **given})
    assert build(what="box", where="floor") == ("box", "floor", defaults)
    assert build.__name__ == "build"


def test_the_signature_names_the_declared_parameters():
    parameters = inspect.signature(build).parameters
    assert list(parameters) == ["what", "where", *DECLARED, "colour"]
    assert parameters["share"].kind is inspect.Parameter.KEYWORD_ONLY
    assert (parameters["share"].default, parameters["share"].annotation) == (0.75, float)
    assert (parameters["limit"].default, parameters["limit"].annotation) == (None, int | None)


def test_the_docstring_says_what_the_declarations_say():
    text = inspect.getdoc(build)
    assert "    where: its place.\n    count: Things in a box, at least 1.\n" in text
    assert "    share: Part of the whole, between 0.0 and 1.0.\n" in text
    assert "    free: Any number.\n" in text
    assert "    kind: Shape: `round`, `flat`.\n" in text
    assert text.endswith(
        "    colour: What it looks like: `red`, `blue`.\n\nReturns:\n    all that was given."
    )
    assert "options" not in text


@pytest.mark.parametrize("named", [{"colur": "red"}, {"options": {}}, {"what": "again"}])
def test_any_other_keyword_is_a_type_error(named):
    with pytest.raises(TypeError, match=next(iter(named))):
        build("box", **named)
