"""What stands in the folder of a run, and what can be read of it at any time."""

from __future__ import annotations

import math
from pathlib import Path

from fiftyone_promerge.training.data.records import RecordFile

from .logs import logged_losses
from .settings import Settings

SETTINGS = "run.json"
"""In the folder of the run: its `Settings`."""

RECORDS = "records.jsonl"
"""In the folder of each round: the labels it is trained on."""

DETECTOR = "detector.pt"
"""In the folder of each round, in the end: the trained detector."""


def round_folder(folder: Path, number: int) -> Path:
    """Folder of a round: its records, logs, the checkpoint to resume from, and its detector.

    Args:
        folder: of the run.
        number: round of the recipe, from 0.

    Returns:
        its path; whether it is there is not asked.
    """
    return folder / f"round_{number}"


def label_records(output_dir: str | Path) -> dict[int, RecordFile]:
    """The labels that self-training made in a run so far, by round from 1."""
    folder, found = Path(output_dir), {}
    for number in range(1, len(list(folder.glob("round_*")))):
        path = round_folder(folder, number) / RECORDS
        if path.exists():
            found[number] = RecordFile(path)
    return found


def loss_curve(output_dir: str | Path) -> dict[int, float]:
    """The losses that a run has logged so far, by iteration, counted over all rounds from 1.

    It is empty where there is no run, or none any more.
    """
    folder, done = Path(output_dir), 0
    if not (folder / SETTINGS).exists():
        return {}
    curve = {}
    for number, schedule in enumerate(Settings.load(folder / SETTINGS).recipe.rounds):
        for iteration, loss in logged_losses(round_folder(folder, number)):
            if math.isfinite(loss):
                curve[done + iteration] = loss
        done += schedule.iterations
    return dict(sorted(curve.items()))
