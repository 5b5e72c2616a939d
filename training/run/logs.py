"""What the engines log of a round, read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from fiftyone_promerge.training.engines.base import VALIDATIONS


def logged_losses(folder: Path) -> Iterator[tuple[int, float]]:
    """Iterations, from 1, and their losses, in any order; also while they are written.

    Lightning writes CSV files, a new one where a run is resumed; detectron2 writes JSON lines.

    Args:
        folder: of the round.
    """
    for path in folder.glob("csv/*/metrics.csv"):
        for row in csv.DictReader(_whole_lines(path)):
            if row.get("loss"):
                yield int(row["step"]) + 1, float(row["loss"])
    for path in folder.glob("metrics.json"):
        for values in map(json.loads, _whole_lines(path)):
            if "total_loss" in values:
                yield values["iteration"] + 1, values["total_loss"]


def validated_precisions(folder: Path) -> Iterator[tuple[int, float]]:
    """Iterations and the AP on the validation images after them, in [0, 1], in any order.

    Args:
        folder: of the round.
    """
    path = folder / VALIDATIONS
    if path.exists():
        for iteration, precision in json.loads(path.read_text(encoding="utf-8")).items():
            yield int(iteration), precision


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file but the one that is being written."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]
