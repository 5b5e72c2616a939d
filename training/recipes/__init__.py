"""Recipes: how a detector is trained, one declared value a file."""

from __future__ import annotations

import os
from pathlib import Path

from .cutler import CUTLER
from .own import SUFFIXES, checked, read_recipe
from .promerge_plus import PROMERGE_PLUS
from .recipe import Recipe, RecipeError, Round
from .small import SMALL
from .smoke import SMOKE

RECIPES = {recipe.name: recipe for recipe in (PROMERGE_PLUS, CUTLER, SMALL, SMOKE)}
"""Every recipe by its name; a new one is one new entry here."""


def find_recipe(recipe: str | os.PathLike[str] | Recipe) -> Recipe:
    """A recipe by its name, one of a person's own, or the one in a YAML file.

    Args:
        recipe: a name in `RECIPES`, the path of a file that ends in `.yaml` or `.yml`, or a value.

    Returns:
        the recipe; where it is not one of `RECIPES`, every value of it is checked.

    Raises:
        RecipeError: there is none of that name, or it cannot be used; it says why.
    """
    if isinstance(recipe, Recipe):
        return checked(recipe)
    if recipe in RECIPES:
        return RECIPES[str(recipe)]
    if Path(recipe).suffix.lower() in SUFFIXES:
        return read_recipe(Path(recipe), RECIPES)
    raise RecipeError(
        f"there is no recipe {str(recipe)!r}; there are {', '.join(RECIPES)}, or give a YAML file "
        f"of your own, whose name ends in .yaml"
    )


__all__ = ["RECIPES", "Recipe", "RecipeError", "Round", "find_recipe"]
