"""The images that a run is over: a folder's, or those that a COCO json lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image

from promerge_core.errors import PromergeError
from promerge_core.images import HEIF_SUFFIXES, SkippedImage

from .coco_file import CocoFile


class RunError(PromergeError):
    """A run cannot start or continue; the message says why and what to do."""


def none_readable(skipped: Sequence[SkippedImage]) -> RunError:
    """The error of a run all of whose images were skipped."""
    return RunError(f"none of the {len(skipped)} images could be read; the first: {skipped[0].why}")


class ImageEntry(NamedTuple):
    """One image of a run.

    Attributes:
        id: COCO image id.
        file_name: the image's name in the json.
        path: where its file is.
        stamp: size in bytes and time of the last change in ns of a file at a URL, where the
            storage tells them; None for a local file, which is asked itself.
    """

    id: int
    file_name: str
    path: Path
    stamp: tuple[int | None, int | None] | None = None


def is_url(location: str) -> bool:
    """Whether a location is a URL and not a local path."""
    return "://" in location


def image_suffixes() -> set[str]:
    """Suffixes of the files that are taken for images, in lower case, with their dots."""
    return (set(Image.registered_extensions()) | HEIF_SUFFIXES) - {".pdf", ".mpg", ".mpeg"}


def find_images(source: Path) -> list[ImageEntry]:
    """All image files of a folder and its subfolders, numbered from 1 by name.

    A file that several links lead to is one image. What cannot be opened, such as a FIFO or a link
    to itself, is among the images if its name says so: the run skips and lists it.

    Raises:
        RunError: the folder holds no image file.
    """
    suffixes = image_suffixes()
    found = (path for path in source.rglob("*") if path.suffix.lower() in suffixes)
    paths = unique_files(sorted(path for path in found if not path.is_dir()))
    if not paths:
        raise RunError(f"{source} holds no image files")
    return [
        ImageEntry(number, path.relative_to(source).as_posix(), path)
        for number, path in enumerate(paths, start=1)
    ]


def coco_images(annotations: Path, images_dir: Path) -> list[ImageEntry]:
    """The images that a COCO json lists.

    Args:
        annotations: the file; it is read as a stream.
        images_dir: the folder that the images' file names are relative to.

    Returns:
        the images by ascending id.

    Raises:
        RunError: the file is no COCO json, lists no images or two with the same id, or an image
            would lie outside `images_dir`.
    """
    try:
        images = CocoFile(annotations).images(("id", "file_name"))
        entries = [ImageEntry(int(row["id"]), str(row["file_name"]), Path()) for row in images]
    except (ValueError, TypeError) as error:
        raise RunError(
            f"{annotations} is no COCO json: it has no list of images that can be read: {error}"
        ) from error
    root, ids = images_dir.resolve(), set()
    for index, entry in enumerate(entries):
        # By name alone: an image may well be a link to a file elsewhere.
        path = Path(os.path.normpath(root / entry.file_name))
        if path == root or not path.is_relative_to(root):
            raise RunError(f"{annotations}: the image {entry.file_name!r} lies outside {root}")
        if entry.id in ids:
            raise RunError(f"{annotations}: two images have the id {entry.id}; each needs its own")
        ids.add(entry.id)
        entries[index] = entry._replace(path=path)
    if not entries:
        raise RunError(f"{annotations} lists no images")
    return sorted(entries)


def unique_files(paths: Sequence[Path]) -> list[Path]:
    """One path for each real file, in the order given.

    Where several lead to one file, it is one without links on its way if there is one.
    """
    best: dict[str, tuple[bool, bool, int, Path]] = {}
    for path, real in zip(paths, _real_paths(paths), strict=True):
        by_link = os.path.abspath(path) != real  # noqa: PTH100
        candidate = (path.is_symlink(), by_link, len(path.parts), path)
        best[real] = min(best.get(real, candidate), candidate)
    kept = {path for *_, path in best.values()}
    return [path for path in paths if path in kept]


def run_identity(entries: Sequence[ImageEntry]) -> dict[str, str]:
    """What identifies the images of a run, for its header.

    Returns:
        `images`: a digest of their ids and names, in order; `files`: one of where each file really
        is, its size and the time of its last change.
    """
    images, files = hashlib.sha256(), hashlib.sha256()
    for entry, real in zip(entries, _real_paths(entry.path for entry in entries), strict=True):
        place, stamp = (real, _stamp(real)) if entry.stamp is None else (entry.path, entry.stamp)
        # A file's name may be bytes that are not text.
        images.update(f"{entry.id}\t{entry.file_name}\n".encode(errors="surrogatepass"))
        files.update(f"{place}\t{stamp[0]}\t{stamp[1]}\n".encode(errors="surrogatepass"))
    return {"images": images.hexdigest(), "files": files.hexdigest()}


Likeness = Literal["same", "files unknown", "files changed", "other"]


MADE: dict[Likeness, str] = {
    "other": "from other images or with other settings",
    "files changed": "from files of the same names that lie elsewhere or have changed since",
    "files unknown": "by an earlier version, which did not note what files it read",
}
"""How what is there was made, for the message of a run that cannot go on with it."""


def compare_runs(known: Any, run: dict[str, Any]) -> Likeness:
    """How a run that was recorded is like this one.

    Args:
        known: the recorded header, or whatever stands in its place.
        run: the header of this run, with what `run_identity` gives.

    Returns:
        `same`; `files changed`: the same names, ids and settings, and files that lie elsewhere or
        have changed; `files unknown`: the same, by an earlier version, which did not record the
        files; else `other`.
    """
    if known == run:
        return "same"
    if not isinstance(known, dict) or {**known, "files": ""} != {**run, "files": ""}:
        return "other"
    return "files changed" if "files" in known else "files unknown"


def _real_paths(paths: Iterable[Path]) -> Iterator[str]:
    """Where each file is once all links are followed; a link to itself stays as it is."""
    folders: dict[Path, str] = {}
    for path in paths:
        if path.parent not in folders:
            folders[path.parent] = _real_path(path.parent)
        real = str(Path(folders[path.parent], path.name))
        yield _real_path(real) if path.is_symlink() else real


def _real_path(path: str | Path) -> str:
    # A COCO json may list names that no file can have.
    return str(path) if "\0" in str(path) else os.path.realpath(path)


def _stamp(path: str) -> tuple[int | None, int | None]:
    """Size and time of the last change of a file; None for both where it is not there."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None, None
    return found.st_size, found.st_mtime_ns
