"""What `promerge generate` takes images from."""

from __future__ import annotations

import collections
import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from promerge_core.runs.sources import (
    ImageEntry,
    RunError,
    coco_images,
    find_images,
    is_url,
    unique_files,
)


class Source(NamedTuple):
    """What a user wants masks for.

    Attributes:
        entries: the images, or None for those of a FiftyOne dataset.
        root: folder or URL that the images' names are relative to.
        name: name for a dataset.
    """

    entries: list[ImageEntry] | None
    root: str
    name: str


def find_source(source: str, images_dir: Path | None) -> Source:
    """The images that a user names.

    Args:
        source: a folder, a file, a glob, a COCO json, a URL or the name of a FiftyOne dataset.
        images_dir: where the images of a COCO json lie; None: beside it.

    Returns:
        the images, where they lie, and a name for them.

    Raises:
        RunError: there is nothing of that name, or no image in it.
    """
    path = Path(source)
    if is_url(source):
        from promerge_core.runs.storage import find_remote_images

        return Source(find_remote_images(source), source, source.rstrip("/").rsplit("/", 1)[-1])
    if path.is_dir():
        return Source(find_images(path), source, path.resolve().name)
    if path.is_file() and path.suffix.lower() == ".json":
        root = images_dir or path.parent
        return Source(coco_images(path, root), str(root), path.stem)
    if path.is_file():
        return Source([ImageEntry(1, path.name, path)], str(path.parent), path.stem)
    if glob.has_magic(source):
        return _glob_source(source)
    from fiftyone_promerge.fields import has_dataset

    if not has_dataset(source):
        raise RunError(f"there is no folder, file, glob match or FiftyOne dataset {source!r}")
    return Source(None, "", source)


def _glob_source(pattern: str) -> Source:
    found = [Path(name) for name in sorted(_matches("", Path(pattern).parts))]
    # What cannot be opened, such as a FIFO or a broken link, is skipped and listed by the run.
    files = unique_files([name for name in found if not name.is_dir()])
    if not files:
        raise RunError(f"no file matches {pattern}")
    root = Path(os.path.commonpath([name.parent for name in files]))
    entries = [
        ImageEntry(number, name.relative_to(root).as_posix(), name)
        for number, name in enumerate(files, start=1)
    ]
    return Source(entries, str(root), root.resolve().name)


def _matches(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """What `glob.glob` finds below a folder, which would follow links that lead round for ever."""
    plain = list(itertools.takewhile(lambda part: part != "**", parts))
    if len(plain) == len(parts):
        yield from glob.glob(os.path.join(glob.escape(folder), *parts))  # noqa: PTH207, PTH118
        return
    rest = list(itertools.dropwhile(lambda part: part == "**", parts[len(plain) :]))
    for top in _matches(folder, [*plain, ""]) if plain else [folder]:
        for below in _folders(top):
            yield from _matches(below, rest or ["*"])


def _folders(top: str) -> Iterator[str]:
    """A folder and all below it, those behind links too: each real one once, hidden ones not."""
    seen, waiting = set(), collections.deque([top])
    while waiting:
        folder = waiting.popleft()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        yield folder
        try:
            inside = sorted(os.scandir(folder or "."), key=lambda entry: entry.name)
        except OSError:
            continue  # what may not be read holds nothing, as for `glob.glob`
        for entry in inside:
            if not entry.name.startswith(".") and os.path.isdir(entry.path):  # noqa: PTH112
                # Links wait until all else was seen, so that files keep the names without links.
                add = waiting.append if entry.is_symlink() else waiting.appendleft
                add(os.path.join(folder, entry.name))  # noqa: PTH118
