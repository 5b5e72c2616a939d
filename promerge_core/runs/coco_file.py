"""The reader of all COCO files."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import ijson

from promerge_core.errors import CocoError
from promerge_core.files import irregular_kind
from promerge_core.shallow_json import ShallowFile

# Reads what the fast parser cannot: the lone surrogates of file names that are not UTF-8.
_SLOW_PARSER = ijson.get_backend("python")


class CocoFile:
    """A COCO json file, read as a stream: it is never held in memory.

    Only a regular file is read: a device has no end, and a FIFO can be read but once.

    Args:
        path: a file with `images` and `annotations`, or a list of results.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def info(self) -> dict[str, Any]:
        """What the file says about how it was made; empty where it says nothing.

        Raises:
            CocoError: the file is not JSON.
        """
        info = next(self._items("info"), None)
        return info if isinstance(info, dict) else {}

    def images(self, keys: Sequence[str] = ("id", "width", "height")) -> Iterator[dict[str, Any]]:
        """The images, in the file's order.

        Args:
            keys: what each image must have at least.

        Returns:
            an iterator over the images, which are as they stand in the file.

        Raises:
            CocoError: the file is not JSON or has no list of images, or an image lacks a key.
        """
        found = False
        for image in self._items("images.item"):
            found = True
            yield _with_keys(image, keys, f"An image of {self.path}")
        if not found and ("images", "start_array", None) not in self._events():
            raise CocoError(f"{self.path} is not a COCO dataset: it has no images")

    def annotations(self) -> Iterator[dict[str, Any]]:
        """The annotations or results, in the file's order, each with at least `image_id`.

        Raises:
            CocoError: the file is not COCO json.
        """
        results = self.is_results()
        prefix = "item" if results else "annotations.item"
        keys = ["image_id"] if results else ["id", "image_id"]
        for annotation in self._items(prefix):
            yield _with_keys(annotation, keys, f"An annotation of {self.path}")

    def categories(self) -> dict[int, str]:
        """Names of the categories by id; empty where the file has none.

        Raises:
            CocoError: the file is not JSON, or a category is not one.
        """
        names = {}
        for item in self._items("categories.item"):
            category = _with_keys(item, ("id", "name"), f"A category of {self.path}")
            if type(category["id"]) is not int or not isinstance(category["name"], str):
                raise CocoError(
                    f"A category of {self.path} is not a number and a name: {item!r:.80}"
                )
            names[category["id"]] = category["name"]
        return names

    def is_results(self) -> bool:
        """Whether the file is a list of results and not a dataset.

        Raises:
            CocoError: it is neither.
        """
        keys = {"images", "annotations"}
        for prefix, event, value in self._events():
            if (prefix, event) == ("", "start_array"):
                return True
            if (prefix, event) == ("", "map_key") and value in keys:
                return False
        raise CocoError(f"{self.path} is not a COCO file: it has no list 'images' or 'annotations'")

    def _events(self) -> Iterator[tuple[str, str, Any]]:
        return self._read("parse")

    def _items(self, prefix: str) -> Iterator[Any]:
        return self._read("items", prefix)

    def _read(self, function: str, *arguments: str) -> Iterator[Any]:
        """What the fast parser finds; where a text stops it, the slow one continues."""
        count = 0
        try:
            for found in self._read_with(ijson, function, *arguments):
                count += 1
                yield found
        except UnicodeDecodeError:
            again = self._read_with(_SLOW_PARSER, function, *arguments)
            yield from itertools.islice(again, count, None)

    def _read_with(self, parser: ModuleType, function: str, *arguments: str) -> Iterator[Any]:
        kind = irregular_kind(self.path)
        if kind is not None:
            raise CocoError(f"{self.path} is {kind}, not a file that can be read as COCO json")
        with self.path.open("rb") as file:
            try:
                shallow = ShallowFile(file)
                yield from getattr(parser, function)(shallow, *arguments, use_float=True)
            except (ijson.JSONError, json.JSONDecodeError) as error:
                raise CocoError(
                    f"{self.path} is not valid JSON (NaN is not either): {_first_line(error)}"
                ) from error


def _first_line(error: Exception) -> str:
    """What a parser says, without the drawing that points into the file."""
    words = error.args[0]
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return text.split("\n", 1)[0]


def _with_keys(item: Any, keys: Sequence[str], what: str) -> dict[str, Any]:
    missing = [key for key in keys if not isinstance(item, dict) or key not in item]
    if missing:
        raise CocoError(f"{what} has no {' and no '.join(missing)}: {item!r:.80}")
    return item
