"""State dicts from files, without executing anything in them."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from promerge_core.errors import PromergeError

from .base import BackboneError


def check_readable(weights: Path) -> None:
    """Raises BackboneError where there is no such file, or where it may not be read."""
    if not weights.is_file():
        raise BackboneError(f"no weights file at {weights}")
    if not os.access(weights, os.R_OK):
        raise BackboneError(f"the weights file {weights} may not be read; check its permissions")


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Reads a state dict without executing anything in the file, and unwraps it.

    `teacher`, `student`, `state_dict` and `model` entries of a training checkpoint and the
    prefixes `module.` and `backbone.` are taken off; heads are left out.

    Args:
        path: a `.safetensors` file, or anything `torch.load(weights_only=True)` reads.

    Returns:
        tensors by the names of their parameters, on the CPU.

    Raises:
        BackboneError: the file is missing, not a state dict, or holds objects to be executed.
    """
    check_readable(path)
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            # DINO's full checkpoints carry their command line, which is plain data.
            with torch.serialization.safe_globals([argparse.Namespace]):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BackboneError(
            f"{path} is not a plain state dict of tensors; a file that holds anything to be "
            f"executed is refused"
        ) from error
    except Exception as error:
        # Bytes that are no pickle make the unpickler fail in any way, KeyError included.
        raise BackboneError(f"{path} is not a readable .pth or .safetensors file") from error
    for wrapper in ("teacher", "student", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not state or not all(map(torch.is_tensor, state.values())):
        raise BackboneError(f"{path} holds no state dict: names of parameters to tensors")
    return {
        short: tensor
        for key, tensor in state.items()
        if not (short := key.removeprefix("module.").removeprefix("backbone.")).startswith("head.")
    }


def load_state(
    model: nn.Module,
    state: dict[str, torch.Tensor],
    problem: str,
    error: type[PromergeError] = BackboneError,
    with_shapes: bool = True,
) -> None:
    """Loads a state dict that must fit in every name and shape.

    Args:
        model: the model to load it into.
        state: the tensors by name.
        problem: what a message says of one that does not fit, before it lists why.
        error: what is raised then.
        with_shapes: whether the message also says which shapes differ.

    Raises:
        PromergeError: it does not fit; of the type `error`.
    """
    expected = model.state_dict()
    problems = {
        "missing": sorted(set(expected) - set(state)),
        "unexpected": sorted(set(state) - set(expected)),
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
            if with_shapes
            else name
            for name, tensor in expected.items()
            if name in state and state[name].shape != tensor.shape
        ],
    }
    found = [
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in problems.items()
        if names
    ]
    if found:
        raise error(f"{problem}: {'; '.join(found)}")
    model.load_state_dict(state)
