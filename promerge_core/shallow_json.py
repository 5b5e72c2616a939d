"""JSON files that are read only as long as they are not nested too deep."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from .errors import CocoError

DEEPEST = 1000
"""A COCO file nests six deep; a parser's memory grows with the square of the depth."""

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = np.zeros(256, np.int8)
_STEPS[[*b"[{"]] = 1
_STEPS[[*b"]}"]] = -1


class ShallowFile:
    """A file of JSON, open for reading as bytes, that refuses to go on where it is too deep.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._depth = 0
        self._quotes = 0
        self._backslash = b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the file.

        Raises:
            CocoError: lists and objects are nested too deep in them.
        """
        content = self._file.read(size)
        text = _ESCAPE.sub(b"", self._backslash + content)
        self._backslash = text[-1:] if text.endswith(b"\\") else b""
        codes = np.frombuffer(text.translate(None, _OTHERS), np.uint8)
        quotes = (codes == ord('"')).cumsum() + self._quotes % 2
        # Brackets after an odd number of quotes are part of a text.
        depths = (_STEPS[codes] * (1 - quotes % 2)).cumsum() + self._depth
        if len(codes):
            self._quotes, self._depth = int(quotes[-1]), int(depths[-1])
            if depths.max() > DEEPEST:
                raise CocoError(
                    f"{self._file.name} is not COCO json: it is nested more than {DEEPEST} deep"
                )
        return content
