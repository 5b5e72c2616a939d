"""Reads weights of detectors from `.pkl` and `.pth` files without executing them."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from .checkpoint import CheckpointError

_REFUSED_BY_TORCH = re.compile(r"GLOBAL (\S+)|whose module (\S+) is blocked")


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads the weights in a file of detectron2, Caffe2 or PyTorch; nothing in it is executed.

    What a file is, its bytes say, not its name. A checkpoint is unwrapped: of its entries only
    `model` (detectron2), `blobs` (Caffe2) or `state_dict` is returned.

    Args:
        path: a pickle of numpy arrays (any protocol, Python 2's too) or a file of `torch.save`.

    Returns:
        names of parameters and buffers to tensors on the CPU; numpy's scalars are 0-d tensors.

    Raises:
        CheckpointError: the file is missing, damaged or no checkpoint, or it asks for anything but
            arrays of numbers in dicts, lists and tuples; the message names what was refused.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if start.startswith(b"PK\x03\x04"):
        _check_archive(path)
        content = _read_torch(path)
    elif start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)):
        content = _read_torch(path)
    else:
        content = _read_pickle(path)
    return _tensors(path, content)


def _check_archive(path: Path) -> None:
    """Refuses a zip that is not torch's, or that would unpack to more than it holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise _damaged(path) from error
    if not any(entry.filename.endswith("/data.pkl") for entry in entries):
        raise CheckpointError(f"{path} is a zip archive, but not a checkpoint of torch.save")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError(
            f"{path} is a compressed archive, which no checkpoint of torch.save is"
        )


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        refused = _REFUSED_BY_TORCH.search(str(error))
        if refused:
            raise _refused(path, refused[1] or refused[2]) from None
        raise _damaged(path) from error


def _read_pickle(path: Path) -> Any:
    stream = io.BytesIO(path.read_bytes())
    _check_instructions(path, stream)
    stream.seek(0)
    try:
        return _Unpickler(stream, path).load()
    except CheckpointError:
        raise
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


class _Dict(dict[Any, Any]):
    """What an OrderedDict becomes; torch gives state dicts a `_metadata`, which is left out."""

    def __setstate__(self, state: object) -> None:
        pass


class _Ndarray:
    """Stands for the type numpy.ndarray, which a pickle names and nobody calls."""


class _Dtype:
    """What a pickle says of a numpy.dtype."""

    def __init__(self, name: str, *_: bool) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def resolve(self) -> np.dtype[Any]:
        """The dtype, when it is one of numbers or truth values.

        Raises:
            TypeError: it is another, like one of objects, or numpy has no such type.
        """
        dtype = np.dtype(self.order + self.name)
        if dtype.kind not in "biuf":
            raise TypeError(f"values of dtype {dtype}")
        return dtype


class _Array:
    """What a pickle says of a numpy array; the array itself is made when all is read."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, fortran, data = state
        self.data = data.encode("latin1") if isinstance(data, str) else data  # a str in Python 2
        self.order: Literal["C", "F"] = "F" if fortran else "C"
        self.axes = None

    def tensor(self) -> torch.Tensor:
        """The values, in memory of their own and in this machine's byte order."""
        dtype = self.dtype.resolve()
        array = np.frombuffer(self.data, dtype).reshape(self.shape, order=self.order)
        if self.axes is not None:
            array = array.transpose(self.axes)
        return torch.from_numpy(array.astype(dtype.newbyteorder("="), order="C"))


def _reconstruct(*_: object) -> _Array:
    """Numpy's empty array, which the pickle then fills."""
    return _Array()


def _from_buffer(
    data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str, axes: Any = None
) -> _Array:
    """Numpy's array of protocol 5; order K is C with the axes moved afterwards."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    array.axes = axes
    return array


def _scalar(dtype: _Dtype, data: bytes) -> _Array:
    return _from_buffer(data, dtype, (), "C")


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for protocols that have none."""
    if encoding != "latin1":
        raise ValueError(f"encoding {encoding}")
    return text.encode("latin1")


# None of numpy's own functions is ever called by a pickle: the stand-ins write down what it says.
_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _Dict,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Ndarray,
}
for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and 2
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    """An unpickler that looks a name up in `_ADMITTED` and nowhere else: it imports nothing."""

    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        super().__init__(stream, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The stand-in of an admitted name.

        Raises:
            CheckpointError: any other name.
        """
        if (module, name) not in _ADMITTED:
            raise _refused(self._path, f"{module}.{name}")
        return _ADMITTED[module, name]


def _tensors(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """The state dict in what a file held."""
    for wrapper in ("model", "blobs", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds no state dict: names of parameters to arrays")
    return {name: _tensor(path, name, value) for name, value in content.items()}


def _tensor(path: Path, name: Any, value: Any) -> torch.Tensor:
    try:
        if not isinstance(name, str):
            raise TypeError(f"the name {name!r}")
        return torch.as_tensor(value.tensor() if isinstance(value, _Array) else value)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{path}: {name!r} is not the name of an array of numbers") from error
