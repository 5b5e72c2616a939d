"""Recipes of a person's own: a Python value, or a YAML file that says what differs from another."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from promerge_core.parameters import ConfigError, Parameter

from .recipe import Recipe, RecipeError, Round

SUFFIXES = (".yaml", ".yml")
"""How the file of a recipe ends."""

_MOST_BYTES = 1_000_000
_BASE = "base"


class _Loader(yaml.SafeLoader):
    """YAML's plain values alone, with 3e-4 a number as in YAML 1.2; PyYAML takes it for text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """See `yaml.composer.Composer`; a few lines of aliases could unpack to gigabytes."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="a recipe has no aliases", problem_mark=mark)
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_recipe(path: Path, bases: Mapping[str, Recipe]) -> Recipe:
    """Reads a recipe from a YAML file; nothing in it is executed.

    The file is a mapping of `Recipe`'s names to values. `base` names the recipe whose values all
    others are; `rounds` is a list of mappings, each of what differs from the base's round of that
    number, or from its last one. The name is by default the file's.

    Args:
        path: the file.
        bases: the recipes to begin with, by name.

    Returns:
        the recipe, checked.

    Raises:
        RecipeError: it cannot be read, or a name or value in it is not allowed; it says which.
    """
    values = _read(path)
    if _BASE not in values:
        raise RecipeError(
            f"{path} does not say which recipe it begins with; add a line such as {_BASE}: small"
        )
    name = values.pop(_BASE)
    if not isinstance(name, str) or name not in bases:
        raise RecipeError(f"{path} has no usable {_BASE}; it is one of {', '.join(bases)}")
    base = bases[name]
    try:
        _check_names(values, base.to_dict(), "a recipe")
        if "rounds" in values:
            values["rounds"] = _rounds(values["rounds"], base)
        # What the file says holds for each architecture.
        others = {
            architecture: {one: value for one, value in own.items() if one not in values}
            for architecture, own in base.by_architecture.items()
        }
        given = {"name": path.stem, **values, "title": "", "by_architecture": others}
        return checked(dataclasses.replace(base, **given))
    except (ConfigError, RecipeError) as error:
        raise RecipeError(f"{path}: {error}") from error


def checked(recipe: Recipe) -> Recipe:
    """A recipe with every value in the type that it is declared with.

    Args:
        recipe: any; lists of it may be Python's.

    Returns:
        the same recipe.

    Raises:
        RecipeError: a value is of another type or out of range; it says which.
    """
    try:
        rounds = tuple(
            Round(**_values(one, f" of round {number}"))
            for number, one in enumerate(_sequence("rounds", recipe.rounds))
        )
        changed = dataclasses.replace(recipe, **{**_values(recipe), "rounds": rounds})
        _check_together(changed)
    except ConfigError as error:
        raise RecipeError(str(error)) from error
    return changed


def _check_together(recipe: Recipe) -> None:
    """Checks what the declaration of one value alone does not say."""
    for name in ("rounds", "short_sides"):
        if not getattr(recipe, name):
            raise ConfigError(f"{name} is empty; it must hold at least one")
    scales = {"crop_scales": recipe.crop_scales}
    for number, one in enumerate(recipe.rounds):
        scales[f"copy_paste_scale of round {number}"] = one.copy_paste_scale or (0.0, 0.0)
        if number == 0 and one.score_threshold is not None:
            raise ConfigError("round 0 has the dataset's labels; leave its score_threshold out")
        if number > 0 and one.score_threshold is None:
            raise ConfigError(
                f"score_threshold of round {number} is missing: the score from which on a "
                f"prediction of round {number - 1} is a label of it"
            )
    for name, (low, high) in scales.items():
        if low > high:
            raise ConfigError(f"{name} must begin with the smaller number; got {low}, {high}")


def _read(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file."""
    if not path.exists():
        raise RecipeError(f"there is no recipe file at {path}")
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise RecipeError(f"{path} is no recipe: it is not a file of at most a megabyte")
    try:
        values = yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise RecipeError(f"{path} is no YAML{where}: {problem}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} is no recipe: it must have lines such as {_BASE}: small")
    return values


def _check_names(values: Mapping[Any, Any], known: Mapping[str, Any], where: str) -> None:
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(str(name), known)
            others = f"did you mean {', '.join(close)}?" if close else f"it has {', '.join(known)}"
            raise RecipeError(f"there is no {name!r} in {where}; {others}")


def _rounds(given: Any, base: Recipe) -> tuple[Round, ...]:
    """The rounds of a file, each with what it leaves out from the base's."""
    rounds = []
    for number, values in enumerate(_sequence("rounds", given)):
        one = base.rounds[min(number, len(base.rounds) - 1)]
        if not isinstance(values, dict):
            raise RecipeError(f"round {number} must have lines such as iterations: 500")
        _check_names(values, dataclasses.asdict(one), f"round {number}")
        rounds.append(dataclasses.replace(one, **values))
    return tuple(rounds)


def _values(one: Recipe | Round, where: str = "") -> dict[str, Any]:
    """The values of a recipe or a round but its rounds, each checked against its declaration."""
    hints, values = get_type_hints(type(one)), {}
    for field in dataclasses.fields(one):
        if field.name not in ("rounds", "title", "by_architecture"):
            declared = Parameter(field.name + where, str, "", "", "", **field.metadata)
            values[field.name] = _checked(declared, hints[field.name], getattr(one, field.name))
    return values


def _checked(declared: Parameter, hint: Any, value: Any) -> Any:
    """A value in the type of its annotation."""
    if get_origin(hint) is types.UnionType:
        if value is None:
            return None
        hint = get_args(hint)[0]
    if get_origin(hint) is not tuple:
        if isinstance(value, Sequence | Mapping) and not isinstance(value, str):
            raise ConfigError(f"{declared.name} must be a single value, not several")
        return declared._replace(type=hint).check(value)
    kind, *others = get_args(hint)
    values = tuple(_checked(declared, kind, each) for each in _sequence(declared.name, value))
    if others != [...] and len(values) != len(others) + 1:
        raise ConfigError(f"{declared.name} must be {len(others) + 1} numbers; got {len(values)}")
    return values


def _sequence(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{name} must be a list; got {type(value).__name__}")
    return value
