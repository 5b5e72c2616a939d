"""What a training run is begun with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.engines.base import TrainingError
from fiftyone_promerge.training.engines.torchvision.precision import why_precision
from fiftyone_promerge.training.options import TrainingOptions
from fiftyone_promerge.training.recipes import Recipe


class Settings(NamedTuple):
    """Everything that decides the outcome of a run but its images, ready for JSON.

    Attributes:
        options: the values of `TrainingOptions` by name, but for the recipe; `weights` is the path
            of the initial weights, or None for random ones, and what the caller left open
            (`architecture`, `rounds`) is decided.
        recipe: the scaled recipe.
        source: what the records are made from.
        reasons: a sentence on each number that was chosen for these images or this machine.
        pace: seconds that an iteration may take, where the run has so many minutes; None before
            they are known.
        own: the recipe as it was given, where it is a person's own; None for one of `RECIPES`.
        labelling: the classes, and whether there are masks to learn.
    """

    options: dict[str, Any]
    recipe: Recipe
    source: dict[str, Any]
    reasons: tuple[str, ...] = ()
    pace: float | None = None
    own: Recipe | None = None
    labelling: Labelling = CLASS_AGNOSTIC

    def save(self, path: Path) -> Settings:
        """Writes the settings of a new run, or compares them to those it was begun with.

        Args:
            path: the file.

        Returns:
            the settings of the run. One that was begun has the numbers of its recipe, even where
            a newer version of this package has others.

        Raises:
            TrainingError: it was begun with other settings.
        """
        settings = self
        if path.exists():
            begun = Settings.load(path)
            before, now = begun._decisive(), self._decisive()
            for name in {**now, **before}:
                if before.get(name) != now.get(name):
                    raise TrainingError(
                        f"{path.parent} holds a run that was begun with {name} "
                        f"{before.get(name)}, now it is {now.get(name)}; choose another folder, or "
                        f"give the same settings"
                    )
            settings = self._replace(recipe=begun.recipe, reasons=begun.reasons, pace=begun.pace)
            settings = settings._replace(labelling=begun.labelling)
        settings.write(path)
        return settings

    def write(self, path: Path) -> None:
        """Writes the settings over those that are there; a reader never sees half of them."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self._to_dict(), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Settings:
        """The settings that `save` wrote; an option that is newer than they are has its default.

        Raises:
            TrainingError: the file holds no such settings.
        """
        try:
            values = json.loads(path.read_bytes())
            recipe, source = Recipe.from_dict(values.pop("recipe")), dict(values.pop("source"))
            reasons, pace = tuple(values.pop("reasons", ())), values.pop("pace", None)
            own = values.pop("own", None)
            own = own and Recipe.from_dict(own)
            names, has_masks = values.pop("labelling", CLASS_AGNOSTIC)
            labelling = Labelling(None if names is None else tuple(names), has_masks)
            declared = TrainingOptions().to_dict().keys() & values.keys()
            given = TrainingOptions.from_dict({name: values[name] for name in declared}).to_dict()
            options = {**given, **values}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise TrainingError(
                f"{path} does not describe a training: it is damaged, or another program's; choose "
                f"another folder"
            ) from error
        del options["recipe"]
        return cls(options, recipe, source, reasons, pace, own, labelling)

    def _to_dict(self) -> dict[str, Any]:
        others = {"source": self.source, "reasons": self.reasons, "pace": self.pace}
        others["own"] = None if self.own is None else self.own.to_dict()
        others["labelling"] = self.labelling
        return {**self.options, "recipe": self.recipe.to_dict(), **others}

    def _decisive(self) -> dict[str, Any]:
        """All that must stay the same when a run is resumed, by name."""
        deciding = [one.name for one in TrainingOptions.parameters() if one.decides]
        options = {name: self.options[name] for name in deciding if name in self.options}
        recipe = self.recipe
        scale = {"batch_size": recipe.batch_size, "num_images": recipe.num_images}
        numbers = {} if self.own is None else self.own.numbers()
        name = recipe.name if self.own is None else f"{recipe.name} (your own)"
        return {"recipe": name, **options, **self.source, **scale, **numbers}

    def print_choices(self) -> None:
        """Prints the recipe as it was scaled, and where the weights come from."""
        recipe, options = self.recipe, self.options
        print(
            f"Recipe {recipe.name} for {recipe.num_images} images: batches of {recipe.batch_size}, "
            f"engine {options['engine']}, architecture {options['architecture']}"
        )
        for number, one in enumerate(recipe.rounds[: options["rounds"]]):
            drops = "".join(f", x {recipe.gamma:g} at {milestone}" for milestone in one.milestones)
            drops = ", then as a cosine to 0" if recipe.decay == "cosine" else drops
            iterations = f"{one.iterations} iterations"
            if self.pace is None and options["minutes"] is not None:
                iterations = "as many iterations as there is time for"
            print(
                f"  round {number}: {iterations}, learning rate "
                f"{one.learning_rate:g} after {recipe.warmup_iterations} of warm-up{drops}"
            )
        reasons = [*self.reasons, *why_precision(options["precision"], recipe)]
        for reason in reasons:
            print(f"  {reason}")
        if options["weights"] is None and recipe.weights == "random":
            print("  initial weights: random")
        elif options["weights"] is None:
            print("  initial weights: RANDOM; far from the published numbers without DINO's")
        else:
            print(f"  initial weights: {options['weights']}")
