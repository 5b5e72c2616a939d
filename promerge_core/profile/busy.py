"""Other programs that keep the processors busy while something is measured."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[list[int]]:
    """Runs programs that compute without end, and ends them.

    Args:
        count: how many; each takes the time of one processor, where it is given that.

    Yields:
        their process ids.
    """
    command = [sys.executable, "-c", "while True: pass"]
    with contextlib.ExitStack() as programs:
        ids = []
        for _ in range(count):
            program = programs.enter_context(subprocess.Popen(command))
            programs.callback(program.kill)
            ids.append(program.pid)
        yield ids
