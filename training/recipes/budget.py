"""A recipe's schedule, made to fit into a number of minutes."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from .changes import with_iterations
from .recipe import Recipe, RecipeError

_MARGIN = 0.05  # share of the time that is left for what was not timed
_VALIDATING = 0.2  # most of the time that validations may take
_LEAST = 50  # iterations of the whole run, below which there is nothing to learn


class Pace(NamedTuple):
    """How fast a machine trains, in seconds.

    Attributes:
        step: of an optimizer step.
        image: of a prediction in one image, all processes together.
    """

    step: float
    image: float


class Work(NamedTuple):
    """What a run does besides its optimizer steps.

    Attributes:
        rounds: rounds to do.
        validation: images that AP is measured on.
        images: all images, in which a round's labels are predicted.
    """

    rounds: int
    validation: int
    images: int


def fitted(recipe: Recipe, minutes: float, spent: float, pace: Pace, work: Work) -> Recipe:
    """The recipe with no more iterations than there is time for.

    Args:
        recipe: a scaled one; its rounds keep their relation to each other. It is not made longer:
            a detector that sees the same few images for longer learns the errors of their labels.
        minutes: for the whole run.
        spent: seconds of them that are over.
        pace: of this machine, with this recipe.
        work: what else is to be done in this time.

    Returns:
        the recipe; it has fewer validations where they would take more than a fifth of the time.

    Raises:
        RecipeError: there is no time for fifty iterations; it says how much they need.
    """
    usable = (60 * minutes - spent) * (1 - _MARGIN)
    validation = pace.image * work.validation * work.rounds
    validations = int(min(max(_VALIDATING * usable / validation, 1), recipe.validations))
    labelling = pace.image * work.images * (work.rounds - 1)
    possible = int((usable - validation * validations - labelling) / pace.step)
    whole = sum(one.iterations for one in recipe.rounds[: work.rounds])
    least = min(_LEAST, whole)
    if possible < least:
        needed = spent + (least * pace.step + validation + labelling) / (1 - _MARGIN)
        raise RecipeError(
            f"{minutes:g} minutes are too few for {least} iterations and a validation, which need "
            f"some {needed / 60:.2g} minutes on this machine; give more minutes"
        )
    first = max(min(possible, whole) * recipe.rounds[0].iterations // whole, 1)
    return dataclasses.replace(with_iterations(recipe, first), validations=validations)
