"""The command `promerge`."""

from .command import main

__all__ = ["main"]
