"""The command `promerge`."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["main"]


def main(*arguments: Any, **options: Any) -> Any:
    """The command; see `command.main`. Ctrl-C while it is still being loaded has its sentence."""
    try:
        from .command import main as command
    except KeyboardInterrupt:
        sys.exit("Error: stopped before anything was done")
    return command(*arguments, **options)
