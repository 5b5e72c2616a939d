"""What a run writes: a regular file, and never two runs to one at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from promerge_core.files import irregular_kind

from .sources import RunError

logger = logging.getLogger(__name__)

# Some file systems of clusters have no locks; runs there are worth more than none.
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)

# The file of each lock that this process holds -> its descriptor and the thread that took it.
_held: dict[Path, tuple[int, int]] = {}


def check_regular(path: Path) -> None:
    """Raises RunError where something else than a regular file stands, without opening it."""
    try:
        kind = irregular_kind(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path} cannot be written: {reason}; name another file") from error
    if kind is not None:
        raise RunError(f"{path} is {kind}; name a file to write")


@contextlib.contextmanager
def hold(output: Path) -> Iterator[None]:
    """Holds the lock on an output, for as long as the block runs; blocks may be nested.

    The system itself lets go of the lock when the process ends, however it ends, so the next run
    takes over the lock of a dead one. The file of the lock stands beside the output and says for
    people which process holds it. Processes that this one forks, which read images, do not hold
    the lock and so cannot outlive it.

    Args:
        output: the file that is written, as `resolved` gives it.

    Raises:
        RunError: another process holds it, or another thread of this one.
        OSError: nothing can be written beside the output.
    """
    path = _lock_file(output)
    thread = threading.get_ident()
    if path in _held and _held[path][1] == thread:
        yield
        return
    descriptor = _acquire(path, output)
    _held[path] = (descriptor, thread)
    try:
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        if _held.pop(path, None) is not None:  # None in a process that was forked
            path.unlink(missing_ok=True)
            os.close(descriptor)


def is_held(output: Path) -> bool:
    """Whether a process holds the lock on an output, this one included; a dead one holds none.

    Args:
        output: the file that is written.

    Returns:
        False also where nobody may know.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(_lock_file(output), flags)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(descriptor)
    return False


def _lock_file(output: Path) -> Path:
    return output.with_name(output.name + ".promerge-lock")


def _acquire(path: Path, output: Path) -> int:
    """The descriptor of a file that this process has locked."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o666)
        try:
            _lock(descriptor, output)
            # Who held it before may have removed the file; a lock on that one guards nothing.
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, output: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
        raise RunError(
            f"{output} is being written by {holder}; wait until that run has ended, "
            f"or choose another output"
        ) from error
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        logger.warning("%s cannot be locked there: start no second run that writes it", output)


def _let_go_in_child() -> None:
    for descriptor, _ in _held.values():
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
