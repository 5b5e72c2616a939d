"""Whether a run may write a file, decided before any work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promerge_core.errors import CocoError

from .coco_file import CocoFile
from .coco_json import DESCRIPTION
from .locks import check_regular
from .sources import RunError


def check_output(
    path: Path, overwrite: bool = False, expected: Mapping[str, Any] | None = None
) -> None:
    """Says, before any work, whether a COCO json may be written to a path.

    It may where there is no file and one can be made, and where a run of ours wrote the file that
    is there, which its `info` says. The file of anyone else is replaced only with `overwrite`.
    What is no regular file is never written, and not read to find out either.

    Args:
        path: the file to write; a link stands for the file that it leads to.
        overwrite: whether any file that is there may be replaced.
        expected: what the `info` of a file that is there must say too, for a caller that
            continues only its own work: `{"dataset": name, "field": field}`.

    Raises:
        RunError: it may not be written; the message says why and what to do.
    """
    check_regular(path)
    target = Path(os.path.realpath(path))
    try:
        _check_folder(target)
        present = target.exists()
        info = _info_of_ours(target) if present and not overwrite else {}
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; name another file") from error
    if not present or overwrite:
        return
    if not info:
        raise RunError(
            f"{path} exists and no run of fiftyone-promerge wrote it; "
            f"choose another file, or overwrite it"
        )
    if any(info.get(key) != value for key, value in (expected or {}).items()):
        raise RunError(
            f"{path} exists and another run wrote it; choose another file, or overwrite it"
        )


def check_new_file(path: Path, overwrite: bool = False, *, makes_folder: bool = False) -> None:
    """Says, before any work, whether a file of results can be written.

    Args:
        path: the file.
        overwrite: whether one that is there may be replaced; what is no regular file never is.
        makes_folder: whether its folder is made where it is not there, as for pictures.

    Raises:
        RunError: its folder is not there, something is there already, or none can be made.
    """
    check_regular(path)
    if path.exists() and not overwrite:
        raise RunError(f"{path} exists already; choose another file, or overwrite it")
    if makes_folder:
        return
    try:
        _check_folder(path.absolute())
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; name another file") from error


def _check_folder(target: Path) -> None:
    """Raises RunError or OSError where no file can be made."""
    if not target.parent.is_dir():
        raise RunError(f"there is no folder {target.parent} to write {target.name} into")
    # Permissions alone do not tell: a file system may be read-only or take no files.
    with tempfile.TemporaryFile(dir=target.parent):
        pass


def _info_of_ours(path: Path) -> dict[str, Any]:
    """The `info` of a file that a run of ours wrote; empty for any other file."""
    try:
        info = CocoFile(path).info()
    except CocoError:
        return {}
    ours = info.get("description") == DESCRIPTION and isinstance(info.get("run"), dict)
    return info if ours else {}
