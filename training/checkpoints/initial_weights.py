"""Initial weights from a file: what of it fits a model, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import nn

from fiftyone_promerge.training.data.labelling import Labelling
from promerge_core.backbones.weights import read_state_dict

from .checkpoint import CheckpointError, OtherLayoutError, load_state, read_checkpoint
from .restricted_pickle import read_weights

_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var", _COUNTER)
_MOST_NAMED = 4


class InitialWeights(NamedTuple):
    """What a file has to begin with.

    Attributes:
        tensors: by the names that they have in the file, but for a leading `module.`.
        labelling: the classes that its detector tells; None where nobody knows them.
    """

    tensors: dict[str, torch.Tensor]
    labelling: Labelling | None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes that its detector tells; None where nobody knows them."""
        return None if self.labelling is None else self.labelling.names

    @property
    def has_masks(self) -> bool:
        """Whether it is a detector that learned masks, and not a backbone alone."""
        learned = self.labelling is None or self.labelling.has_masks
        return learned and any("mask" in name for name in self.tensors)


def read_initial_weights(path: Path) -> InitialWeights:
    """Reads a detector of `promerge train`, or any state dict; nothing in it is executed.

    Args:
        path: a `detector.pt`, or a `.pth`, `.pkl` or `.safetensors` file.

    Returns:
        what is in it.

    Raises:
        PromergeError: it cannot be read without executing it.
    """
    if path.suffix == ".safetensors":
        return InitialWeights(read_state_dict(path), None)
    labelling = None
    try:
        checkpoint = read_checkpoint(path)
        found, labelling = checkpoint.model, checkpoint.labelling
    except OtherLayoutError:
        found = read_weights(path)
    return InitialWeights(
        {name.removeprefix("module."): tensor for name, tensor in found.items()}, labelling
    )


class Predictor(NamedTuple):
    """A parameter of a detector whose first dimension is that of the classes.

    Attributes:
        end: how its name ends.
        each: how much of the dimension belongs to a class.
        background: where in the dimension the background stands.
    """

    end: str
    each: int
    background: Literal["first", "last", "none"]


def with_classes(
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    predictors: Sequence[Predictor],
    found: tuple[str, ...] | None,
    wanted: tuple[str, ...],
) -> dict[str, torch.Tensor]:
    """The tensors of a detector for other classes than it was trained with.

    Args:
        model: the detector that they are for.
        tensors: by the names that they have in it.
        predictors: its parameters that depend on the classes.
        found: names of the classes the tensors were trained with; None where nobody knows them.
        wanted: names of the classes to learn.

    Returns:
        the tensors. A class of the same name keeps its numbers, and where the detector knew a
        single class, each begins as that one; else its predictors are empty, and fit no model.
    """
    expected = model.state_dict()
    fitted = dict(tensors)
    for name, tensor in tensors.items():
        for one in predictors:
            if name in expected and one.end in name:
                fitted[name] = _for_classes(tensor, len(expected[name]), one, found, wanted)
    return fitted


def _for_classes(
    tensor: torch.Tensor,
    size: int,
    one: Predictor,
    found: tuple[str, ...] | None,
    wanted: tuple[str, ...],
) -> torch.Tensor:
    others = int(one.background != "none")
    count = len(tensor) // one.each - others
    if size != one.each * (len(wanted) + others) or len(tensor) % one.each or count < 1:
        return tensor  # it does not depend on the classes, or is of another form
    if count == 1:
        rows = [0] * len(wanted)
    elif found is not None and len(found) == count and set(wanted) <= set(found):
        rows = [found.index(name) for name in wanted]
    else:
        return tensor[:0]
    parts = list(tensor.split(one.each))
    first = parts[:1] if one.background == "first" else []
    last = parts[-1:] if one.background == "last" else []
    return torch.cat([*first, *(parts[len(first) + row] for row in rows), *last])


def is_classifier(name: str) -> bool:
    """Whether a parameter of a backbone is its classifier's, which no detector has."""
    return name.startswith("head.") or "fc" in name.split(".")


def load_backbone(body: nn.Module, found: Mapping[str, torch.Tensor], path: Path) -> None:
    """Loads a backbone, which must fit whole.

    What batch norms only count, a file need not have, and what they measured, a model without
    batch norms does not take.

    Args:
        body: the network.
        found: its tensors, by the names that they have in it.
        path: the file that they are from, for messages.

    Raises:
        CheckpointError: they are of another network.
    """
    expected = body.state_dict()
    counters = {name: value for name, value in expected.items() if name.endswith(_COUNTER)}
    state = {
        name: tensor
        for name, tensor in found.items()
        if name in expected or not name.endswith(_STATISTICS)
    }
    load_state(body, {**counters, **state}, str(path))


def load_fitting(
    model: nn.Module,
    found: Mapping[str, torch.Tensor],
    parts: Mapping[str, str],
    path: Path,
) -> str:
    """Loads what fits by name and shape.

    Args:
        model: the detector.
        found: tensors by the names that they have in it.
        parts: the detector's parts as a person calls them, and how their names begin; the first,
            the backbone, must fit whole where there is any of it.
        path: the file that they are from, for messages.

    Returns:
        how much of each part was loaded, and what was not; half a sentence.

    Raises:
        CheckpointError: nothing fits, or the backbone is another one.
    """
    expected = model.state_dict()
    start = next(iter(parts.values()))
    body = {name.removeprefix(start): one for name, one in found.items() if name.startswith(start)}
    if body:
        load_backbone(model.get_submodule(start.removesuffix(".")), body, path)
    fitting = {
        name: tensor
        for name, tensor in found.items()
        if name in expected and tensor.shape == expected[name].shape
    }
    if not fitting:
        raise CheckpointError(
            f"nothing in {path} fits this detector: neither a backbone nor a detector of its "
            f"architecture"
        )
    if not all(bool(tensor.isfinite().all()) for tensor in fitting.values()):
        raise CheckpointError(f"{path} holds numbers that are not finite")
    model.load_state_dict(fitting, strict=False)
    counts = [
        f"{part} {_count(fitting, start)} of {_count(expected, start)}"
        for part, start in parts.items()
    ]
    others = [one for one in found if one not in fitting and not one.endswith(_STATISTICS)]
    left_out = [f"{name} ({_why(found[name])})" for name in others if name in expected]
    left_out += [name for name in others if name not in expected]
    return f"{', '.join(counts)} tensors{_named(left_out)}"


def _why(tensor: torch.Tensor) -> str:
    return "other shape" if len(tensor) else "other classes"


def _count(state: Mapping[str, torch.Tensor], start: str) -> int:
    return sum(name.startswith(start) and not name.endswith(_COUNTER) for name in state)


def _named(left_out: list[str]) -> str:
    if not left_out:
        return ""
    more = len(left_out) - _MOST_NAMED
    return "; left out: " + ", ".join(left_out[:_MOST_NAMED]) + f" and {more} more" * (more > 0)
