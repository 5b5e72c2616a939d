"""Begins a training run, or resumes it at any point."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fiftyone_promerge.training.checkpoints.initial_weights import read_initial_weights
from fiftyone_promerge.training.data.labelling import Labelling, labelling_of
from fiftyone_promerge.training.data.records import Record, RecordFile, Split, write_records
from fiftyone_promerge.training.engines.base import (
    TrainingError,
    TrainingStoppedError,
    World,
    find_engine,
)
from fiftyone_promerge.training.options import TrainingOptions
from fiftyone_promerge.training.recipes import RECIPES, Recipe, find_recipe
from fiftyone_promerge.training.self_training import wait_for
from promerge_core import PromergeError
from promerge_core.masks.mask import LABEL
from promerge_core.parameters import takes
from promerge_core.runs.locks import hold

from .choices import adapt, choose, scale
from .folder import DETECTOR, RECORDS, SETTINGS, round_folder
from .initial_weights import find_weights
from .launch import launch
from .listener import Listener, Progress
from .rounds import run_rounds
from .settings import Settings

# What a round keeps, in any engine: its detector, or a checkpoint to continue from.
_DETECTORS = (DETECTOR, "*.ckpt", "*.pth", "last_checkpoint")


@takes(TrainingOptions)
def train(
    records: Iterable[Record],
    output_dir: str | Path,
    *,
    source: dict[str, Any],
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Trains a detector; a run that was stopped or killed continues.

    Under torchrun every process calls it, with a folder that all of them see; that of rank 0 alone
    looks at `records`, `source` and `weights`. `recipe` can also be a `Recipe`.

    Args:
        records: the images and their masks; read once, when the run begins, by rank 0.
        output_dir: a folder of the run's own: `round_0`, `round_1`, ... with `records.jsonl`,
            logs, the checkpoint to resume from, and in the end `detector.pt`.
        source: what the records are made from, for the checkpoint: `dataset`, `field`, `images`.
        progress: is called after each iteration, and while labels for a next round are made. To
            stop, raise in it: the last checkpoint is written, and what it raised is raised here.
        **options: see `TrainingOptions`.

    Returns:
        the checkpoint of the last round.

    Raises:
        PromergeError: the options, records or weights cannot be used; the message says why.
    """
    given = find_recipe(options["recipe"])
    recipe, chosen = choose({**options, "recipe": given})
    folder = Path(output_dir).resolve()
    with _alone(folder):
        own = None if given == RECIPES.get(given.name) else given
        settings, is_new = _begin(records, folder, Settings(chosen, recipe, source, own=own))
        return _run(settings, folder, progress, is_new)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes the folder of a run, and lets no other process train there at the same time."""
    with contextlib.ExitStack() as stack:
        if World.current().rank == 0:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(hold(folder / SETTINGS))
            except OSError as error:
                raise TrainingError(
                    f"{folder} cannot be made or written to: {error.strerror}"
                ) from error
        yield


def _begin(records: Iterable[Record], folder: Path, asked: Settings) -> tuple[Settings, bool]:
    """Begins a run, or finds the one that was begun; with that it says whether it is new."""
    chosen, recipe, world = asked.options, asked.recipe, World.current()
    is_new = world.rank == 0 and not (folder / SETTINGS).exists()
    if is_new:
        _check_folder(folder)
    if world.rank == 0:
        chosen["weights"] = find_weights(chosen["weights"], chosen["architecture"], recipe.norm)
        images = sum(map(len, _write_first_records(records, folder, recipe)))
        recipe, reasons = adapt(recipe, RecordFile(round_folder(folder, 0) / RECORDS), chosen)
        recipe = scale(recipe, chosen, images, max(chosen["devices"], world.world_size))
        labelling, whys = _labelling(RecordFile(round_folder(folder, 0) / RECORDS), chosen)
        reasons += whys + _what_fits(chosen, recipe, labelling)
        settings = asked._replace(recipe=recipe, reasons=reasons, labelling=labelling)
        settings.save(folder / SETTINGS).print_choices()
    wait_for([folder / SETTINGS])
    begun = Settings.load(folder / SETTINGS)
    # Another process may have written them since, or not yet.
    now = {name: chosen[name] for name in ("rounds", "devices")}
    return begun._replace(options=begun.options | now), is_new


def _check_folder(folder: Path) -> None:
    """Raises TrainingError where detectors of another run would be taken for this one's."""
    found = [path for pattern in _DETECTORS for path in sorted(folder.glob(f"round_*/{pattern}"))]
    if found:
        raise TrainingError(
            f"{found[0]} is of another training, whose {SETTINGS} is gone; choose another folder, "
            f"or delete {found[0].parent}"
        )


def _labelling(records: RecordFile, options: dict[str, Any]) -> tuple[Labelling, tuple[str, ...]]:
    """What the labels teach, in a few sentences too where it is not masks of one class."""
    labelling, counts = labelling_of(records, by_class=options["classes"] is not None)
    reasons = []
    if labelling.classes is not None:
        listed = ", ".join(f"{name} ({counts[name]})" for name in labelling.classes)
        others = f"; {counts[LABEL]} labels have no class" * (LABEL in counts)
        alone = "; one alone is told from nothing but the background" * (len(labelling.classes) < 2)
        reasons.append(f"classes: {listed}{others}{alone}")
    if not labelling.has_masks and options["weights"] is not None:
        has_masks = read_initial_weights(Path(options["weights"])).has_masks
        labelling = labelling._replace(has_masks=has_masks)
        reasons += ["no label has a mask: masks stay those of the initial weights"] * has_masks
    if not labelling.has_masks:
        reasons.append("no label has a mask: the detector gives boxes alone")
    return labelling, tuple(reasons)


def _what_fits(options: dict[str, Any], recipe: Recipe, labelling: Labelling) -> tuple[str, ...]:
    """A sentence on what of the initial weights fits the detector."""
    if options["weights"] is None:
        return ()
    engine, path = find_engine(options["engine"]), Path(options["weights"])
    fits = engine.fit(recipe, options["architecture"], path, labelling)
    return (f"of the initial weights fit: {fits}",)


def _write_first_records(records: Iterable[Record], folder: Path, recipe: Recipe) -> Split:
    """Writes the records of a run that has not begun; without settings it has not."""
    path = round_folder(folder, 0) / RECORDS
    path.parent.mkdir(exist_ok=True)
    if not (folder / SETTINGS).exists():
        write_records(path, records)
    return RecordFile(path).split(
        recipe.validation_fraction, recipe.max_validation_images, recipe.min_validation_images
    )


def _run(settings: Settings, folder: Path, progress: Progress | None, is_new: bool) -> Path:
    """Does what is left of a run, here or in a process per device."""
    rounds, devices = settings.options["rounds"], settings.options["devices"]
    listener = Listener(progress)
    try:
        if devices > 1 and World.current().world_size == 1:
            launch(folder, devices, listener.report, listener.stop)
            return round_folder(folder, rounds - 1) / DETECTOR
        return run_rounds(settings, folder, listener.report, listener.stop)
    except TrainingStoppedError:
        if listener.raised is not None:
            raise listener.raised from None
        raise
    except PromergeError:
        if is_new and not listener.done:
            # It could not begin, say with weights that do not fit: other settings may be tried.
            (folder / SETTINGS).unlink()
        raise
    finally:
        listener.close()
