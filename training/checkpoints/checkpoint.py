"""A trained detector in one file that says everything needed to load it."""

from __future__ import annotations

import dataclasses
import pickle
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.recipes import Recipe
from fiftyone_promerge.training.registry import ENGINES
from promerge_core import PromergeError
from promerge_core.backbones.torch_files import check_structure
from promerge_core.backbones.weights import load_state as load_fitting_state

FORMAT = "fiftyone-promerge detector 1"


class CheckpointError(PromergeError):
    """A checkpoint cannot be read, written or used; the message says why."""


class OtherLayoutError(CheckpointError):
    """A file is not one that `save_checkpoint` wrote."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a detector's file holds; plain values and tensors, nothing to be executed.

    Attributes:
        engine: name of the engine that trained it, and loads it.
        architecture: name of its architecture in that engine.
        recipe: the scaled recipe, as `Recipe.to_dict` gives it.
        round: round of the recipe, from 0.
        source: what it was trained on: `dataset`, `field` and `images`.
        versions: of this package, torch and the engine's library.
        metrics: the last of training, by name.
        model: state dict of the engine's model.
        labelling: the classes that it tells.
    """

    engine: str
    architecture: str
    recipe: dict[str, Any]
    round: int
    source: dict[str, Any]
    versions: dict[str, str]
    metrics: dict[str, float]
    model: dict[str, torch.Tensor]
    labelling: Labelling = CLASS_AGNOSTIC

    def check_architecture(self) -> None:
        """Raises CheckpointError where the engine has no such architecture."""
        if not ENGINES[self.engine].has(self.architecture):
            raise CheckpointError(
                f"the engine {self.engine} has no architecture {self.architecture!r}"
            )


def library_versions(*names: str) -> dict[str, str]:
    """Versions of installed distributions, and of this package; `source` is one that is not."""
    versions = {}
    for name in ("fiftyone-promerge", "torch", *names):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "source"
    return versions


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; the file is there whole or not at all.

    Args:
        path: the file; its folder must exist.
        checkpoint: what to write.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written to.
    """
    partial = path.with_suffix(".partial")
    values = dict(vars(checkpoint))
    labelling: Labelling = values.pop("labelling")
    if labelling != CLASS_AGNOSTIC:  # which every version of this package can read
        classes = labelling.classes and list(labelling.classes)
        values["labelling"] = {"classes": classes, "has_masks": labelling.has_masks}
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **values}, file)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"{path} cannot be written: {error}") from error


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint without executing anything in it.

    Raises:
        CheckpointError: there is no such file, or an entry in it is damaged.
        OtherLayoutError: it is not of this layout, or it holds something to be executed.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    if not zipfile.is_zipfile(path):
        raise OtherLayoutError(f"{path} is not a readable checkpoint")
    try:
        check_structure(Path(path), OtherLayoutError)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except OtherLayoutError:
        raise
    except pickle.UnpicklingError as error:
        raise OtherLayoutError(
            f"{path} holds more than tensors and plain values; a file that holds anything to be "
            f"executed is refused"
        ) from error
    except Exception as error:
        # Bytes that are no checkpoint make torch's reader fail in any way.
        raise OtherLayoutError(f"{path} is not a readable checkpoint") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise OtherLayoutError(
            f"{path} is not a detector of promerge train: it lacks the entry format {FORMAT!r}"
        )
    stored = values.pop("labelling", None)
    labelling = CLASS_AGNOSTIC if stored is None else _read_labelling(stored, path)
    wrong = _wrong(values)
    if wrong is not None:
        raise CheckpointError(f"{path} is damaged: {wrong}; fetch or save it again")
    return Checkpoint(**values, labelling=labelling)


def _read_labelling(stored: Any, path: str | Path) -> Labelling:
    try:
        classes, has_masks = stored["classes"], stored["has_masks"]
    except (TypeError, KeyError) as error:
        raise OtherLayoutError(f"{path} is not a readable checkpoint") from error
    if classes is not None and not (classes and all(isinstance(name, str) for name in classes)):
        raise OtherLayoutError(f"{path} is not a readable checkpoint: its classes are no names")
    return Labelling(None if classes is None else tuple(classes), bool(has_masks))


_TYPES: dict[str, type] = {
    "engine": str,
    "architecture": str,
    "recipe": dict,
    "round": int,
    "source": dict,
    "versions": dict,
    "metrics": dict,
    "model": dict,
}


def _wrong(values: dict[Any, Any]) -> str | None:
    """What is wrong with the entries of a checkpoint, or None."""
    if values.keys() != _TYPES.keys():
        return f"it has the entries {', '.join(sorted(map(str, values)))[:200]}"
    for name, kind in _TYPES.items():
        if not isinstance(values[name], kind):
            return f"its {name} is no {kind.__name__}"
    if values["engine"] not in ENGINES:
        return f"there is no engine {values['engine'][:80]!r}"
    try:
        rounds = Recipe.from_dict(values["recipe"]).rounds
    except (TypeError, KeyError, ValueError, AttributeError):
        return "its recipe is none"
    if not 0 <= values["round"] < len(rounds):
        return f"its recipe has no round {values['round']}"
    tensors = values["model"].items()
    if not all(isinstance(name, str) and torch.is_tensor(one) for name, one in tensors):
        return "its model is no state dict"
    return None


def load_state(model: nn.Module, state: dict[str, torch.Tensor], what: str) -> None:
    """Loads a state dict that fits in every name and shape.

    Args:
        model: the model to load it into.
        state: the tensors by name.
        what: what the state is, for the error message.

    Raises:
        CheckpointError: it does not fit.
    """
    problem = f"{what} is of another architecture"
    load_fitting_state(model, state, problem, CheckpointError, with_shapes=False)
