"""What stands in the folder of a run, and what can be read of it at any time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fiftyone_promerge.training.data.records import Record, RecordFile
from fiftyone_promerge.training.engines.base import PICTURES
from promerge_core.runs.locks import is_held

from .logs import logged_losses, validated_precisions
from .settings import Settings

SETTINGS = "run.json"
"""In the folder of the run: its `Settings`."""

RECORDS = "records.jsonl"
"""In the folder of each round: the labels it is trained on."""

DETECTOR = "detector.pt"
"""In the folder of each round, in the end: the trained detector."""

RESULTS = "results.json"
"""In the folder of the run, in the end: the table of its labels and detectors."""


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


def validation_images(output_dir: str | Path) -> dict[int, Record]:
    """The images that the first round of a run leaves out of training, with its labels.

    Args:
        output_dir: folder of the run.

    Returns:
        their records by position in the records of every round.
    """
    folder = Path(output_dir)
    recipe = Settings.load(folder / SETTINGS).recipe
    records = RecordFile(round_folder(folder, 0) / RECORDS)
    split = records.split(
        recipe.validation_fraction, recipe.max_validation_images, recipe.min_validation_images
    )
    return {int(position): records[int(position)] for position in split.validation}


def loss_curve(output_dir: str | Path) -> dict[int, float]:
    """The losses that a run has logged so far, by iteration, counted over all rounds from 1.

    It is empty where there is no run, or none any more.
    """
    return dict(_over_rounds(Path(output_dir), logged_losses))


def precision_curve(output_dir: str | Path) -> dict[int, float]:
    """AP of the validations of a run so far, in [0, 1], by iteration, counted over all rounds.

    It is empty where there is no run, or none any more.
    """
    return dict(_over_rounds(Path(output_dir), validated_precisions))


def latest_picture(output_dir: str | Path) -> Path | None:
    """The picture of the last validation of a run so far; None where there is none."""
    pictures = Path(output_dir).glob(f"round_*/{PICTURES}/*.png")
    return max(pictures, key=lambda path: (_number(path.parents[1]), int(path.stem)), default=None)


def is_running(output_dir: str | Path) -> bool:
    """Whether a process trains in a folder; one that was killed does not."""
    return is_held(Path(output_dir).resolve() / SETTINGS)


def read_results(output_dir: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's table; see `write_results`."""
    rows = json.loads((Path(output_dir) / RESULTS).read_text(encoding="utf-8"))["rows"]
    assert isinstance(rows, list)
    return rows


def _over_rounds(
    folder: Path, values: Callable[[Path], Iterable[tuple[int, float]]]
) -> Iterator[tuple[int, float]]:
    """Finite values of all rounds, by ascending iteration of the run."""
    if not (folder / SETTINGS).exists():
        return
    done = 0
    for number, schedule in enumerate(Settings.load(folder / SETTINGS).recipe.rounds):
        for iteration, value in sorted(values(round_folder(folder, number))):
            if math.isfinite(value):
                yield done + iteration, value
        done += schedule.iterations


def _number(round_folder: Path) -> int:
    return int(round_folder.name.removeprefix("round_"))
