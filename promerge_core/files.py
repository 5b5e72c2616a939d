"""What stands at a path: only regular files are read and written."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFREG: None,
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def irregular_kind(path: Path) -> str | None:
    """What stands at a path in place of a regular file, links followed, without opening it.

    Returns:
        "a folder", "a FIFO", "a socket" or "a device"; None for a regular file and for nothing.

    Raises:
        OSError: it cannot be found out, as for a link to itself.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
