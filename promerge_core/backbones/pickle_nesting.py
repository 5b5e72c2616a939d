"""How deep the tuples of a pickle are nested, told from its instructions alone."""

from __future__ import annotations

import pickletools
from typing import Any, BinaryIO, NamedTuple

DEEPEST, MOST_ITEMS = 100, 10_000
"""What a tuple may hold; those of checkpoints hold shapes and the parts of an array."""

_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
_GETS = ("GET", "BINGET", "LONG_BINGET")
_NESTING = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET")


class NestingError(ValueError):
    """A tuple holds more than Python can hash without end or crash."""


class _Item(NamedTuple):
    """What is known of an item on the unpickler's stack: its depth, and the items in it."""

    depth: int = 0
    items: int = 1


_PLAIN = _Item()


class Nesting:
    """Follows a pickle's instructions as an unpickler would, and makes nothing.

    Python hashes a tuple by hashing what is in it, without a limit: one nested a million deep ends
    the process where it is the key of a dict, and one that holds itself twice, sixty times over,
    is hashed for years.
    """

    def __init__(self) -> None:
        self._stack: list[_Item | None] = []  # None is a mark
        self._memo: dict[int, _Item | None] = {}

    def follow(self, code: pickletools.OpcodeInfo, argument: Any) -> None:
        """Follows one instruction.

        Args:
            code: the instruction.
            argument: what stands behind it.

        Raises:
            NestingError: it makes a tuple of more than there may be.
            LookupError: it asks for what is not there, at which an unpickler fails as well.
        """
        if code.name in _PUTS:
            self._memo[int(argument)] = self._stack[-1]
        elif code.name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif code.name in _GETS:
            self._stack.append(self._memo[int(argument)])
        elif code.name == "DUP":
            self._stack.append(self._stack[-1])
        elif code.name == "MARK":
            self._stack.append(None)
        else:
            taken = self._take(code)
            if code.name in _NESTING:
                self._stack.append(_nested(taken))
            else:
                self._stack += [_PLAIN] * len(code.stack_after)

    def _take(self, code: pickletools.OpcodeInfo) -> list[_Item | None]:
        """Takes off the stack what an instruction takes off; what it took above a mark."""
        below = len(code.stack_before)
        taken: list[_Item | None] = []
        if pickletools.markobject in code.stack_before:
            below = code.stack_before.index(pickletools.markobject)
            while (item := self._stack.pop()) is not None:
                taken.append(item)
        for _ in range(below):
            taken.append(self._stack.pop())
        return taken


def _nested(items: list[_Item | None]) -> _Item:
    inside = [item for item in items if item is not None]
    depth = 1 + max((item.depth for item in inside), default=0)
    count = 1 + sum(item.items for item in inside)
    if depth > DEEPEST or count > MOST_ITEMS:
        raise NestingError
    return _Item(depth, count)


def check_nesting(file: BinaryIO, pickles: int = 1) -> None:
    """Follows the pickles at the beginning of a file.

    Args:
        file: open for reading, at its beginning.
        pickles: how many there are, one after the other.

    Raises:
        NestingError: a tuple in them holds more than there may be.
        ValueError, LookupError: they are damaged.
    """
    for _ in range(pickles):
        nesting = Nesting()
        for code, argument, _ in pickletools.genops(file):
            nesting.follow(code, argument)
