"""What each process does that `launch` starts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiftyone_promerge.training.engines.base import TrainingStoppedError
from promerge_core import PromergeError

from .folder import SETTINGS
from .rounds import run_rounds
from .settings import Settings


def main(folder: Path) -> None:
    """Trains, and reports through files in the folder.

    Args:
        folder: of the run, with its settings and the records of the first round.
    """

    def report(done: int, total: int, metrics: Mapping[str, float]) -> None:
        content = {"done": done, "total": total, "metrics": dict(metrics)}
        _write(folder / "progress.json", content)

    try:
        run_rounds(Settings.load(folder / SETTINGS), folder, report, (folder / "stop").exists)
    except PromergeError as error:
        stopped = isinstance(error, TrainingStoppedError)
        _write(folder / "failure.json", {"stopped": stopped, "message": str(error)})
        if not stopped:  # torchrun ends the other processes when one fails
            sys.exit(str(error))


def _write(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON so that a reader never sees half of it."""
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
