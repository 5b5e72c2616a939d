"""Recipes: how a detector is trained, one declared value a file."""

from .cutler import CUTLER
from .promerge_plus import PROMERGE_PLUS
from .recipe import Recipe, RecipeError, Round
from .small import SMALL
from .smoke import SMOKE

RECIPES = {recipe.name: recipe for recipe in (PROMERGE_PLUS, CUTLER, SMALL, SMOKE)}
"""Every recipe by its name; a new one is one new entry here."""


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: there is none.
    """
    if name not in RECIPES:
        raise RecipeError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


__all__ = ["RECIPES", "Recipe", "RecipeError", "Round", "find_recipe"]
