"""An accelerator that is none: it computes on the CPU and refuses to mix with it.

Its tensors say that they are on another device. As on a GPU, an operation on them and on a CPU's
tensor fails, unless that one is a single number; what they hold is reached only by copying it or by
asking for it. Both are counted, since the host waits for a GPU at each.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
"""What the tensors say: the one other device that PyTorch knows of everywhere."""

aten = torch.ops.aten
_ASKS = {
    overload
    for packet in (
        *(aten.item, aten.is_nonzero, aten._local_scalar_dense, aten.equal, aten.nonzero),
        *(aten.masked_select, aten.unique_consecutive, aten._unique2, aten.bincount),
    )
    for overload in (getattr(packet, name) for name in packet.overloads())
} | {aten.repeat_interleave.Tensor, aten.repeat_interleave.self_Tensor}
"""Operations whose result the host needs, or whose result has a size that the values decide."""


class OnDevice(torch.Tensor):
    """A tensor of the stand-in; what it holds is a tensor of the CPU."""

    _held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        tensor._held = held
        return tensor

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} on the accelerator, outside of it")


class _Creation(TorchFunctionMode):
    """What PyTorch does between Python and its operations, where no device is asked."""

    def __init__(self, counts: Counter) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.as_tensor, torch.tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if args and isinstance(args[0], OnDevice):
            if func is torch.Tensor.new_tensor:
                return torch.tensor(args[1], dtype=args[0].dtype).to(DEVICE)
            if func is torch.Tensor.tolist:
                self.counts["downloads"] += 1
                return args[0]._held.tolist()
            if func is torch.Tensor.numpy:
                raise TypeError("a tensor of the accelerator is no array: copy it first")
        return func(*args, **kwargs)


class _Operations(TorchDispatchMode):
    """Runs each operation on what the tensors hold."""

    def __init__(self, counts: Counter) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
        on_device = [isinstance(tensor, OnDevice) for tensor in tensors]
        moves = target is not None and len(tensors) == 1
        if any(on_device) and not moves:
            _check_not_mixed(func, tensors)
        self._count(func, args, moves, target, any(on_device))
        result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs or {}))
        there = target.type == DEVICE.type if target is not None else any(on_device)
        if not there:
            return result
        # What works in place gives its own argument back.
        own = {id(tensor._held): tensor for tensor in tensors if isinstance(tensor, OnDevice)}

        def wrap(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            return own[id(leaf)] if id(leaf) in own else OnDevice(leaf)

        return tree_map(wrap, result)

    def _count(
        self,
        func: Callable,
        args: tuple,
        moves: bool,
        target: torch.device | None,
        on_device: bool,
    ) -> None:
        if moves and target is not None and (target.type == DEVICE.type) != on_device:
            self.counts["downloads" if on_device else "uploads"] += 1
        elif on_device and (func in _ASKS or _indexes_by_truth(func, args)):
            self.counts["questions"] += 1


def _check_not_mixed(func: Callable, tensors: list[torch.Tensor]) -> None:
    for tensor in tensors:
        if tensor.ndim and not isinstance(tensor, OnDevice):
            raise RuntimeError(f"{func}: a tensor {tuple(tensor.shape)} of the CPU among others")


def _indexes_by_truth(func: Callable, args: tuple) -> bool:
    """Whether rows are chosen by a bool tensor, so that their number depends on its values."""
    packets = (aten.index, aten.index_put, aten.index_put_)
    return func.overloadpacket in packets and any(
        index is not None and index.dtype == torch.bool for index in args[1]
    )


def _inner(value: Any) -> Any:
    if isinstance(value, OnDevice):
        return value._held
    return torch.device("cpu") if isinstance(value, torch.device) else value


@contextlib.contextmanager
def accelerator() -> Iterator[Counter]:
    """Makes the device `DEVICE` one that computes.

    Yields:
        how often something was copied to it (`uploads`) and from it (`downloads`), and how often
        the host asked for a value (`questions`).
    """
    counts: Counter = Counter()
    with _Operations(counts), _Creation(counts):
        yield counts
