"""Files of `torch.save`, checked before they are unpacked and read without executing anything."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from promerge_core.errors import PromergeError

from .pickle_nesting import NestingError, check_nesting
from .stand_ins import NUMPY, foreign

ZIP_START = b"PK\x03\x04"
"""How a zip archive begins, which `torch.save` writes."""

LEGACY_START = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
"""How a file of an older `torch.save` begins."""

_LEGACY_PICKLES = 5


def check_size(path: Path, error: type[PromergeError]) -> None:
    """Refuses a file that is larger than the memory that is free, as one full of holes can be.

    Args:
        path: the file.
        error: what is raised.

    Raises:
        PromergeError: of the type `error`.
    """
    size, free = path.stat().st_size, psutil.virtual_memory().available
    if size > free:
        raise error(
            f"{path} has {size / 1e9:.1f} GB, but only {free / 1e9:.1f} GB of memory are free"
        )


def check_structure(path: Path, error: type[PromergeError]) -> None:
    """Refuses a file that would unpack to more than it holds, or that could crash Python.

    Args:
        path: a file.
        error: what is raised.

    Raises:
        PromergeError: of the type `error`: it is a zip that is not torch's or is compressed, or a
            tuple in it is nested too deep.
        Exception: of any other kind, where the file is damaged.
    """
    with path.open("rb") as file:
        start = file.read(len(LEGACY_START))
    try:
        if start.startswith(ZIP_START):
            _check_archive(path, error)
        else:
            with path.open("rb") as file:
                check_nesting(file, _LEGACY_PICKLES if start == LEGACY_START else 1)
    except NestingError as nested:
        raise error(
            f"{path} holds tuples that are nested deeper than in any checkpoint; it was refused"
        ) from nested


def _check_archive(path: Path, error: type[PromergeError]) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        pickles = [one for one in entries if one.filename.endswith("/data.pkl")]
        if not pickles:
            raise error(f"{path} is a zip archive, but not a checkpoint of torch.save")
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not stored or sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise error(f"{path} is a compressed archive, which no checkpoint of torch.save is")
        for one in pickles:
            with archive.open(one) as file:
                check_nesting(file)  # type: ignore[arg-type]


def load_torch(path: Path) -> Any:
    """What `torch.load(weights_only=True)` gives, with stand-ins for all that it would refuse.

    Scalars and arrays of numpy are `Array`s; everything else that holds no weights, such as the
    settings in a training checkpoint, is `Foreign`: its name is not looked up, and nothing called.

    Args:
        path: a file that passed `check_structure`.

    Returns:
        the content, its tensors on the CPU.

    Raises:
        pickle.UnpicklingError: it asks for something that torch blocks, such as the module `os`.
        Exception: of any kind, where the file is damaged.
    """
    numpys = [(stand_in, name) for name, stand_in in NUMPY.items()]
    with safe_globals([*numpys, (foreign("argparse.Namespace"), "argparse.Namespace")]):
        with path.open("rb") as file:
            zipped = file.read(len(ZIP_START)) == ZIP_START
        others = get_unsafe_globals_in_checkpoint(path) if zipped else []
        with safe_globals([(foreign(name), name) for name in others]):
            return torch.load(path, map_location="cpu", weights_only=True)


def unwrap(content: Any, wrappers: Sequence[str]) -> Any:
    """The state dict in a training checkpoint.

    Args:
        content: what a file holds.
        wrappers: names of the entries that hold a state dict, in the order they are tried.

    Returns:
        the innermost dict under such names, or the content itself.
    """
    for _ in wrappers:  # no deeper, since a pickled dict may hold itself
        inner = content if isinstance(content, dict) else {}
        found = [inner[name] for name in wrappers if isinstance(inner.get(name), dict)]
        if not found:
            break
        content = found[0]
    return content
