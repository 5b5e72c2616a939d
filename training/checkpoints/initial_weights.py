"""Initial weights from a file: what of it fits a model, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from promerge_core.backbones.weights import read_state_dict

from .checkpoint import CheckpointError, OtherLayoutError, load_state, read_checkpoint
from .restricted_pickle import read_weights

_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var", _COUNTER)
_MOST_NAMED = 4


def read_initial_weights(path: Path) -> dict[str, torch.Tensor]:
    """Reads a detector of `promerge train`, or any state dict; nothing in it is executed.

    Args:
        path: a `detector.pt`, or a `.pth`, `.pkl` or `.safetensors` file.

    Returns:
        tensors by the names that they have in the file, but for a leading `module.`.

    Raises:
        PromergeError: it cannot be read without executing it.
    """
    if path.suffix == ".safetensors":
        return read_state_dict(path)
    try:
        found = read_checkpoint(path).model
    except OtherLayoutError:
        found = read_weights(path)
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


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
    left_out = [f"{name} (other shape)" for name in others if name in expected]
    left_out += [name for name in others if name not in expected]
    return f"{', '.join(counts)} tensors{_named(left_out)}"


def _count(state: Mapping[str, torch.Tensor], start: str) -> int:
    return sum(name.startswith(start) and not name.endswith(_COUNTER) for name in state)


def _named(left_out: list[str]) -> str:
    if not left_out:
        return ""
    more = len(left_out) - _MOST_NAMED
    return "; left out: " + ", ".join(left_out[:_MOST_NAMED]) + f" and {more} more" * (more > 0)
