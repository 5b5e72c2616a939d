"""Checks of the paths that a person types into a form."""

from __future__ import annotations

import os
from pathlib import Path

from promerge_core import PromergeError


def expanded(path: str) -> str:
    """A path with its `~` expanded; that of an unknown user stays."""
    return os.path.expanduser(path)  # noqa: PTH111 - pathlib's raises for an unknown user


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a null byte
        return False


def check_output_folder(path: str) -> None:
    """Makes sure that files can be written into a folder, which may not exist yet.

    Raises:
        PromergeError: the path is not absolute, leads through a file, or may not be written to.
    """
    folder = Path(path)
    if not folder.is_absolute():
        raise PromergeError(f"{path} is no absolute path; start it with / or ~")
    while not _exists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise PromergeError(f"{folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PromergeError(f"the folder {folder} may not be written to; choose another one")


def check_json_name(path: str) -> None:
    """Makes sure that a file to write is called as a JSON file.

    Raises:
        PromergeError: it is not.
    """
    if Path(path).suffix.lower() != ".json":
        raise PromergeError(f"{path} must end in .json")


def check_readable(path: str) -> None:
    """Makes sure that a file or folder can be read.

    Raises:
        PromergeError: it does not exist, or may not be read.
    """
    target = Path(path)
    if not _exists(target):
        raise PromergeError(f"there is no {path} on the machine that runs FiftyOne")
    if not os.access(target, os.R_OK):
        raise PromergeError(f"{path} may not be read; check its permissions")
