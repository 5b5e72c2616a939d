"""Files at local paths and at the URLs of object stores (s3://, gs://, all that fsspec knows)."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

from promerge_core.errors import MissingExtraError
from promerge_core.files import irregular_kind
from promerge_core.images import ImageError

from .sources import ImageEntry, RunError, image_suffixes, is_url

try:
    import pyarrow as pa
    from pyarrow import fs
except ImportError as error:
    raise MissingExtraError(
        "URLs and shards need pyarrow: pip install 'fiftyone-promerge[ray]'"
    ) from error


def open_location(location: str) -> tuple[fs.FileSystem, str]:
    """The file system of a local path or a URL, and the path inside it.

    Raises:
        RunError: the URL's scheme is unknown, or what it takes is not installed.
    """
    if not is_url(location):
        return fs.LocalFileSystem(), os.path.abspath(location)  # noqa: PTH100 - keeps links
    try:
        return fs.FileSystem.from_uri(location)
    except pa.ArrowInvalid:
        pass  # a scheme that pyarrow lacks may be one of fsspec's
    try:
        return fs.FileSystem.from_uri("fsspec+" + location)
    except (ValueError, ImportError) as error:
        raise RunError(f"{location} cannot be opened: {error}") from error


def find_remote_images(url: str) -> list[ImageEntry]:
    """All image files below a URL, numbered from 1 by name; see `sources.find_images`.

    Raises:
        RunError: there is no image file, or the URL cannot be opened.
    """
    filesystem, root = open_location(url)
    selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
    suffixes = image_suffixes()
    found = sorted(
        (PurePosixPath(info.path).relative_to(root).as_posix(), (info.size, info.mtime_ns))
        for info in filesystem.get_file_info(selector)
        if info.type == fs.FileType.File and f".{info.extension.lower()}" in suffixes
    )
    if not found:
        raise RunError(f"{url} holds no image files")
    return [
        ImageEntry(number, name, Path(url, name), stamp)
        for number, (name, stamp) in enumerate(found, 1)
    ]


class ImageStore:
    """Reads image files by their names, on any machine that can reach them.

    Args:
        root: the local folder or URL that the names are relative to.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._filesystem, self._path = open_location(root)

    def read(self, file_name: str) -> bytes:
        """The content of one file.

        Raises:
            ImageError: there is no such file, it may not be read, or it is a FIFO, a socket or a
                device, which is not opened.
            OSError: the storage failed; the file may well be there.
        """
        self._check_regular(file_name)
        path = f"{self._path}/{file_name}"
        try:
            with self._filesystem.open_input_file(path) as file:
                return bytes(file.read())
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise ImageError(f"{self.root}/{file_name}: no such file") from error
        except PermissionError as error:
            raise ImageError(f"{self.root}/{file_name}: may not be read") from error

    def _check_regular(self, file_name: str) -> None:
        """Raises ImageError where a local file is none that can be opened, or OSError."""
        if not isinstance(self._filesystem, fs.LocalFileSystem) or "\0" in file_name:
            return
        try:
            kind = irregular_kind(Path(self._path, file_name))
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EACCES):
                raise
            raise ImageError(f"{self.root}/{file_name}: {error.strerror}") from error
        if kind is not None:
            raise ImageError(f"{self.root}/{file_name}: {kind}, not an image")
