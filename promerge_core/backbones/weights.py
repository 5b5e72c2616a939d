"""State dicts from files, without executing anything in them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from promerge_core.errors import PromergeError

from .base import BackboneError
from .stand_ins import Foreign
from .torch_files import check_size, check_structure, load_torch, unwrap

WRAPPERS = ("teacher", "student", "state_dict", "model")
"""The entries of a training checkpoint that hold a state dict."""


def check_readable(weights: Path) -> None:
    """Raises BackboneError where there is no such regular file, or where it cannot be read."""
    if not weights.is_file():
        raise BackboneError(f"no weights file at {weights}")
    if not os.access(weights, os.R_OK):
        raise BackboneError(f"the weights file {weights} may not be read; check its permissions")
    check_size(weights, BackboneError)


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Reads a state dict without executing anything in the file, and unwraps it.

    `teacher`, `student`, `state_dict` and `model` entries of a training checkpoint and the
    prefixes `module.` and `backbone.` are taken off; heads are left out.

    Args:
        path: a `.safetensors` file, or one of `torch.save`. What its training left beside the
            state dict, such as settings or numbers of NumPy, is left out.

    Returns:
        tensors by the names of their parameters, on the CPU.

    Raises:
        BackboneError: the file is missing, not a state dict, would unpack to more than it holds,
            or asks for something to be executed.
    """
    check_readable(path)
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            check_structure(path, BackboneError)
            content = load_torch(path)
    except BackboneError:
        raise
    except pickle.UnpicklingError as error:
        raise _refused(path) from error
    except Exception as error:
        # Bytes that are no pickle make the unpickler fail in any way, KeyError included.
        raise BackboneError(f"{path} is not a readable .pth or .safetensors file") from error
    state = unwrap(content, WRAPPERS)
    values = state.values() if isinstance(state, dict) else [state]
    if any(isinstance(value, Foreign) for value in values):
        raise _refused(path)
    if not _is_state(state):
        raise BackboneError(f"{path} holds no state dict: names of parameters to tensors")
    return {
        short: tensor
        for key, tensor in state.items()
        if not (short := key.removeprefix("module.").removeprefix("backbone.")).startswith("head.")
    }


def _refused(path: Path) -> BackboneError:
    return BackboneError(
        f"{path} is not a plain state dict of tensors; a file that holds anything to be "
        f"executed is refused"
    )


def _is_state(state: Any) -> bool:
    return (
        isinstance(state, dict)
        and bool(state)
        and all(isinstance(key, str) and torch.is_tensor(one) for key, one in state.items())
    )


def load_state(
    model: nn.Module,
    state: dict[str, torch.Tensor],
    problem: str,
    error: type[PromergeError] = BackboneError,
    with_shapes: bool = True,
) -> None:
    """Loads a state dict that must fit in every name, shape and type, of finite values.

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
    common = [(name, tensor, state[name]) for name, tensor in expected.items() if name in state]
    problems = {
        "missing": sorted(set(expected) - set(state)),
        "unexpected": sorted(set(state) - set(expected)),
        "of another shape": [
            f"{name} {tuple(found.shape)} instead of {tuple(tensor.shape)}" if with_shapes else name
            for name, tensor, found in common
            if found.shape != tensor.shape
        ],
        "of another type": [name for name, tensor, found in common if not _of_type(found, tensor)],
    }
    if not any(problems.values()):
        # Only now: a tensor of another shape may stand for any number of values.
        problems["not finite"] = [
            name for name, tensor, found in common if not found.to(tensor.dtype).isfinite().all()
        ]
    listed = [
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in problems.items()
        if names
    ]
    if listed:
        raise error(f"{problem}: {'; '.join(listed)}")
    model.load_state_dict(state)


def _of_type(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether values can be taken over: no whole or complex numbers for real ones, no sparse."""
    return (
        found.layout == torch.strided
        and not found.is_meta
        and not found.is_quantized
        and found.is_floating_point() == expected.is_floating_point()
        and not found.is_complex()
    )
