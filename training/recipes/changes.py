"""Recipes with some of their numbers changed, and what depends on them changed likewise."""

from __future__ import annotations

import dataclasses

from .recipe import Recipe


def with_iterations(recipe: Recipe, iterations: int) -> Recipe:
    """The recipe with so many iterations in its first round.

    Args:
        recipe: a scaled one.
        iterations: optimizer steps of the first round; the other rounds, the milestones and the
            warm-up become longer or shorter by the same factor.

    Returns:
        the changed recipe.
    """
    factor = iterations / recipe.rounds[0].iterations
    rounds = tuple(
        dataclasses.replace(
            one,
            iterations=max(round(one.iterations * factor), 1),
            milestones=tuple(round(milestone * factor) for milestone in one.milestones),
        )
        for one in recipe.rounds
    )
    shortest = min(one.iterations for one in rounds)
    warmup = min(recipe.warmup_iterations, shortest // 10)
    return dataclasses.replace(recipe, rounds=rounds, warmup_iterations=warmup)


def with_learning_rate(recipe: Recipe, learning_rate: float) -> Recipe:
    """The recipe with another learning rate.

    Args:
        recipe: a scaled one.
        learning_rate: of the first round; the others keep their relation to it.

    Returns:
        the changed recipe.
    """
    factor = learning_rate / recipe.rounds[0].learning_rate
    rounds = tuple(
        dataclasses.replace(one, learning_rate=one.learning_rate * factor) for one in recipe.rounds
    )
    first = dataclasses.replace(rounds[0], learning_rate=learning_rate)
    return dataclasses.replace(recipe, rounds=(first, *rounds[1:]))


def with_image_size(recipe: Recipe, short_side: int) -> Recipe:
    """The recipe for images of another size.

    Args:
        recipe: any.
        short_side: of an image in prediction, in pixels; the sizes in training and the long side
            keep their relation to it.

    Returns:
        the changed recipe.
    """
    factor = short_side / recipe.test_short_side
    return dataclasses.replace(
        recipe,
        test_short_side=short_side,
        short_sides=tuple(max(round(side * factor), 1) for side in recipe.short_sides),
        long_side=max(round(recipe.long_side * factor), short_side),
    )
