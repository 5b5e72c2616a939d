"""What a run decides before it begins: the recipe's numbers, the detector, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from fiftyone_promerge.training.data.anchors import anchors_of
from fiftyone_promerge.training.data.records import RecordFile
from fiftyone_promerge.training.data.sizes import Sizes, fitting_short_side, sizes_of
from fiftyone_promerge.training.engines.base import (
    TrainingError,
    choose_architecture,
    find_engine,
)
from fiftyone_promerge.training.options import TrainingOptions
from fiftyone_promerge.training.recipes import Recipe, find_recipe
from fiftyone_promerge.training.recipes.changes import (
    with_image_size,
    with_iterations,
    with_learning_rate,
)


def choose(options: dict[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe, and every other option as it is for this recipe, this engine and this machine.

    Args:
        options: values of `TrainingOptions` by name, as a person gave them.

    Returns:
        the recipe, not yet scaled, and the values of all other options.

    Raises:
        PromergeError: they cannot be used, or not together.
    """
    recipe, engine = find_recipe(options["recipe"]), options["engine"]
    architecture = choose_architecture(engine, options["architecture"] or recipe.architecture)
    recipe = recipe.of(architecture)
    if options["seed"] is not None:
        recipe = dataclasses.replace(recipe, seed=options["seed"])
    if options["image_size"] is not None:
        recipe = with_image_size(recipe, options["image_size"])
    find_engine(engine).check(recipe, architecture)
    _check_devices(options["devices"])
    decided = {
        "recipe": recipe.name,
        "architecture": architecture,
        "weights": options["weights"] or recipe.weights,
        "rounds": _check_rounds(recipe, options["rounds"]),
    }
    chosen = TrainingOptions(**{**options, **decided}).to_dict()
    del chosen["recipe"]
    if chosen["iterations"] is not None and chosen["minutes"] is not None:
        raise TrainingError("iterations and minutes exclude each other; give one of them")
    return recipe, chosen


def _check_rounds(recipe: Recipe, rounds: int | None) -> int:
    """How many rounds are to be done; None is all of them."""
    if rounds is None:
        return len(recipe.rounds)
    if not 1 <= rounds <= len(recipe.rounds):
        raise TrainingError(
            f"the recipe {recipe.name} has {len(recipe.rounds)} rounds, not {rounds}"
        )
    return rounds


def _check_devices(devices: int) -> None:
    if devices < 1:
        raise TrainingError(f"devices is {devices}; at least one is needed")
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise TrainingError(
            f"devices is {devices}, and this machine has {torch.cuda.device_count()} GPUs"
        )


def scale(recipe: Recipe, options: dict[str, Any], num_images: int, num_devices: int) -> Recipe:
    """The recipe for a number of images and devices, with the numbers that a person gave.

    Args:
        recipe: as `choose` gave it.
        options: likewise.
        num_images: images with masks, those for validation included.
        num_devices: of all nodes together.

    Returns:
        the scaled recipe.

    Raises:
        RecipeError: the batch cannot be divided evenly among the devices.
    """
    recipe = recipe.scaled(num_images, num_devices, options["batch_size"])
    changes: list[tuple[str, Callable[[Recipe, Any], Recipe]]] = [
        ("iterations", with_iterations),
        ("learning_rate", with_learning_rate),
    ]
    for name, change in changes:
        if options[name] is not None:
            recipe = change(recipe, options[name])
    return recipe


def adapt(
    recipe: Recipe, records: RecordFile, options: dict[str, Any]
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe for the sizes of images and labels, where it adapts to them.

    Args:
        recipe: as `choose` gave it.
        records: images and labels.
        options: as `choose` gave them; an `image_size` stays.

    Returns:
        the recipe, and a sentence on each choice.
    """
    if not recipe.adapts:
        return recipe, ()
    sizes, reasons = sizes_of(records), []
    if options["image_size"] is None:
        side = fitting_short_side(sizes, recipe)
        reasons.append(_why_side(side, sizes, recipe))
        recipe = dataclasses.replace(recipe, test_short_side=side)
    recipe = dataclasses.replace(recipe, anchor_sizes=anchors_of(records, recipe))
    factor = recipe.test_short_side / sizes.short_side
    low, _, high = (round(size * factor) for size in sizes.objects)
    anchors = ", ".join(f"{side:g}" for side in recipe.anchor_sizes)
    reasons.append(f"anchors {anchors}: half of the labels are {low} to {high} pixels wide")
    return recipe, tuple(reasons)


def _why_side(side: int, sizes: Sizes, recipe: Recipe) -> str:
    own = round(sizes.short_side)
    if side == own:
        return f"short side {side} pixels: the images' own"
    if side == recipe.test_short_side:
        return f"short side {side} pixels: the recipe's, the images have {own}"
    if side == recipe.crop:
        return f"short side {side} pixels: that of a crop, the images have {own}"
    middle = round(sizes.objects[1])
    return f"short side {side} pixels: half of the labels are under {middle} of the images' {own}"
