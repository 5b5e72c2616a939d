"""The images that a run is over: a folder's, or those that a COCO json lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from promerge_core.errors import PromergeError
from promerge_core.images import HEIF_SUFFIXES

from .coco_file import CocoFile


class RunError(PromergeError):
    """A run cannot start or continue; the message says why and what to do."""


class ImageEntry(NamedTuple):
    """One image of a run.

    Attributes:
        id: COCO image id.
        file_name: the image's name in the json.
        path: where its file is.
    """

    id: int
    file_name: str
    path: Path


def is_url(location: str) -> bool:
    """Whether a location is a URL and not a local path."""
    return "://" in location


def image_suffixes() -> set[str]:
    """Suffixes of the files that are taken for images, in lower case, with their dots."""
    return (set(Image.registered_extensions()) | HEIF_SUFFIXES) - {".pdf", ".mpg", ".mpeg"}


def find_images(source: Path) -> list[ImageEntry]:
    """All image files of a folder and its subfolders, numbered from 1 by name.

    Raises:
        RunError: the folder holds no image file.
    """
    suffixes = image_suffixes()
    paths = sorted(
        path for path in source.rglob("*") if path.suffix.lower() in suffixes and not path.is_dir()
    )
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
        RunError: the file is no COCO json, lists no images, or an image would lie outside
            `images_dir`.
    """
    try:
        images = CocoFile(annotations).images(("id", "file_name"))
        entries = [ImageEntry(int(row["id"]), str(row["file_name"]), Path()) for row in images]
    except (ValueError, TypeError) as error:
        raise RunError(
            f"{annotations} is no COCO json: it has no list of images that can be read: {error}"
        ) from error
    root = images_dir.resolve()
    for index, entry in enumerate(entries):
        # By name alone: an image may well be a link to a file elsewhere.
        path = Path(os.path.normpath(root / entry.file_name))
        if path == root or not path.is_relative_to(root):
            raise RunError(f"{annotations}: the image {entry.file_name!r} lies outside {root}")
        entries[index] = entry._replace(path=path)
    if not entries:
        raise RunError(f"{annotations} lists no images")
    return sorted(entries)


def digest_entries(entries: Sequence[ImageEntry]) -> str:
    """What identifies the images of a run: their ids and names, in order."""
    digest = hashlib.sha256()
    for entry in entries:
        # A file's name may be bytes that are not text.
        digest.update(f"{entry.id}\t{entry.file_name}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()
