"""Stand-ins for what a weights file names: no class or function that it names is ever called."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch


class Foreign:
    """Stands for whatever a file names that holds no weights; it keeps and does nothing.

    Attributes:
        name: what the file asks for, with its module.
    """

    name = ""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Leaves out an item of a list of another kind."""

    def extend(self, items: object) -> None:
        """Leaves out items of a list of another kind."""


def foreign(name: str) -> type[Foreign]:
    """The stand-in for a name, which is not looked up anywhere."""
    return type("Foreign", (Foreign,), {"name": name})


class Dict(dict[Any, Any]):
    """What an OrderedDict becomes; torch gives state dicts a `_metadata`, which is left out."""

    def __setstate__(self, state: object) -> None:
        pass


class Dtype:
    """What a file says of a numpy.dtype."""

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


class Array:
    """What a file says of a numpy array or scalar; the values are made when all is read."""

    def __init__(self) -> None:
        self.__setstate__((1, (), None, False, b""))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, fortran, self.data = state
        if not isinstance(self.data, (bytes, bytearray, str, list)):
            raise TypeError(f"an array's data of type {type(self.data).__name__}")
        self.order: Literal["C", "F"] = "F" if fortran else "C"
        self.axes = None

    @property
    def nbytes(self) -> int:
        """How much memory the values take."""
        return len(self.data)

    @property
    def foreign(self) -> list[Foreign]:
        """What stands in an array of objects for things that hold no weights."""
        items = self.data if isinstance(self.data, list) else []
        return [item for item in items if isinstance(item, Foreign)]

    @functools.cached_property
    def tensor(self) -> torch.Tensor:
        """The values, in this machine's byte order; in memory of their own, once for each array.

        Raises:
            TypeError: they are no numbers.
            ValueError: shape, dtype and data do not belong together.
        """
        # Text stands for bytes in Python 2's pickles; it is encoded here so that a file that names
        # one text a thousand times takes its memory once.
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        dtype = self.dtype.resolve()
        array = np.frombuffer(data, dtype).reshape(self.shape, order=self.order)
        if self.axes is not None:
            array = array.transpose(self.axes)
        return torch.from_numpy(array.astype(dtype.newbyteorder("="), order="C"))


def _reconstruct(*_: object) -> Array:
    """Numpy's empty array, which the pickle then fills."""
    return Array()


def _from_buffer(
    data: bytes, dtype: Dtype, shape: tuple[int, ...], order: str, axes: Any = None
) -> Array:
    """Numpy's array of protocol 5; order K is C with the axes moved afterwards."""
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    array.axes = axes
    return array


def _scalar(dtype: Dtype, data: bytes) -> Array:
    return _from_buffer(data, dtype, (), "C")


NUMPY: dict[str, Callable[..., Any]] = {"numpy.dtype": Dtype, "numpy.ndarray": Array}
"""The stand-ins for the names that numpy's arrays and scalars are pickled by."""

for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and 2
    NUMPY[f"{_core}.multiarray._reconstruct"] = _reconstruct
    NUMPY[f"{_core}.multiarray.scalar"] = _scalar
    NUMPY[f"{_core}.numeric._frombuffer"] = _from_buffer
