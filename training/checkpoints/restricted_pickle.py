"""Reads weights of detectors from `.pkl` and `.pth` files without executing them."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from promerge_core.backbones.stand_ins import NUMPY, Array, Dict, Foreign, foreign
from promerge_core.backbones.torch_files import (
    LEGACY_START,
    ZIP_START,
    check_size,
    check_structure,
    load_torch,
    unwrap,
)
from promerge_core.files import irregular_kind

from .checkpoint import CheckpointError

WRAPPERS = ("teacher", "student", "model", "blobs", "state_dict")
"""The entries of a checkpoint that hold a state dict: of DINO, detectron2, Caffe2 and others."""

_REFUSED_BY_TORCH = re.compile(r"GLOBAL (\S+)|whose module (\S+) is blocked")


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads the weights in a file of detectron2, Caffe2 or PyTorch; nothing in it is executed.

    What a file is, its bytes say, not its name. A checkpoint is unwrapped: of its entries only
    `teacher` or `student` (DINO), `model` (detectron2), `blobs` (Caffe2) or `state_dict` is
    returned; what the others ask for is left out.

    Args:
        path: a pickle of numpy arrays (any protocol, Python 2's too) or a file of `torch.save`.

    Returns:
        names of parameters and buffers to tensors on the CPU; numpy's scalars are 0-d tensors.

    Raises:
        CheckpointError: the file is missing, damaged or no checkpoint, or its state dict asks for
            anything but arrays of numbers; the message names what was refused.
    """
    path = Path(path)
    start = _read_start(path)
    if start.startswith((ZIP_START, LEGACY_START)):
        content = _read_torch(path)
    else:
        content = _read_pickle(path)
    return _tensors(path, content)


def _read_start(path: Path) -> bytes:
    """The first bytes of a regular file that fits into memory."""
    try:
        kind = irregular_kind(path)
        if kind not in (None, "a folder"):
            raise CheckpointError(f"{path} cannot be read: it is {kind}")
        check_size(path, CheckpointError)
        with path.open("rb") as file:
            return file.read(32)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def _read_torch(path: Path) -> Any:
    try:
        check_structure(path, CheckpointError)
        return load_torch(path)
    except CheckpointError:
        raise
    except Exception as error:
        refused = _REFUSED_BY_TORCH.search(str(error))
        if refused:
            raise _refused(path, refused[1] or refused[2]) from None
        raise _damaged(path) from error


def _read_pickle(path: Path) -> Any:
    stream = io.BytesIO(path.read_bytes())
    _check_instructions(path, stream)
    try:
        check_structure(path, CheckpointError)
    except LookupError as error:
        raise _damaged(path) from error
    stream.seek(0)
    try:
        return _Unpickler(stream, encoding="latin1").load()
    except Exception as error:
        # A pickle that is wrong in itself makes the unpickler fail in any way.
        raise _damaged(path) from error


def _check_instructions(path: Path, stream: io.BytesIO) -> None:
    """Reads a pickle's instructions without following them.

    A length must lie within the file, and a memo's index cannot exceed the instructions before
    it; else a few bytes could ask the unpickler for all memory there is. The registry of copyreg
    is refused here, since what it has cached never comes to `find_class`.
    """
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(stream)):
            if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > count:
                raise ValueError(f"memo index {argument} at instruction {count}")
            if code.name in ("EXT1", "EXT2", "EXT4"):
                raise _refused(path, f"copyreg extension {argument}")
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(
            f"{path} is neither a whole pickle nor a checkpoint of torch.save"
        ) from error


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"{path} is a damaged checkpoint; fetch or save it again")


def _refused(path: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{path} asks for {name[:80]!r} and may be malicious: it was refused and nothing in it "
        f"was executed; only arrays of numbers in dicts, lists and tuples are read"
    )


def _encode(text: str, encoding: str) -> str:
    """How Python 3 writes bytes for protocols that have none; `Array` makes them of the text."""
    if encoding != "latin1":
        raise ValueError(f"encoding {encoding}")
    return text


# None of numpy's own functions is ever called by a pickle: the stand-ins write down what it says.
_ADMITTED: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "collections.OrderedDict": Dict,
    **NUMPY,
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that looks a name up in `_ADMITTED` and nowhere else: it imports nothing."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The stand-in of a name."""
        full = f"{module}.{name}"
        return _ADMITTED.get(full) or foreign(full)


def _tensors(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """The state dict in what a file held."""
    state = unwrap(content, WRAPPERS)
    values = list(state.values()) if isinstance(state, dict) else [state]
    for value in values:
        for one in value.foreign if isinstance(value, Array) else [value]:
            if isinstance(one, Foreign):
                raise _refused(path, one.name)
    if not values or not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no state dict: names of parameters to arrays")
    # Arrays may name the same data again and again, and each would get memory of its own.
    arrays = {id(value): value.nbytes for value in values if isinstance(value, Array)}
    if sum(arrays.values()) > path.stat().st_size:
        raise CheckpointError(f"{path} asks for arrays of more data than it holds; it was refused")
    return {name: _tensor(path, name, value) for name, value in state.items()}


def _tensor(path: Path, name: Any, value: Any) -> torch.Tensor:
    try:
        if not isinstance(name, str):
            raise TypeError(f"the name {name!r}")
        return torch.as_tensor(value.tensor if isinstance(value, Array) else value)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{path}: {name!r} is not the name of an array of numbers") from error
