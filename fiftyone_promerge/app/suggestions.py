"""What forms suggest, so that nobody has to think of a path: where to write, what to apply."""

from __future__ import annotations

import itertools
from pathlib import Path

import fiftyone as fo

_HOME = "promerge"


def export_path(dataset: fo.Dataset, field: str) -> str:
    """Where an export can go: in the home folder, named after the dataset and the field.

    Args:
        dataset: the dataset.
        field: the field of the labels.

    Returns:
        the path of a json file.
    """
    return str(Path.home() / _HOME / f"{_plain(dataset.name)}_{field}.json")


def training_folder(dataset: fo.Dataset, field: str) -> str:
    """A folder for a training: that of one that was stopped, else a new one.

    Args:
        dataset: the dataset; it knows of its trainings.
        field: the field of the masks to train on.

    Returns:
        the path of the folder.
    """
    for key in dataset.list_runs(method="train_detector"):
        run = dataset.get_run_info(key).config
        if run.checkpoint is None and key == f"{field}_detector":
            return str(run.output_dir)
    names = (f"{_plain(dataset.name)}_{field}{n}" for n in _endings())
    folders = (Path.home() / _HOME / name for name in names)
    return str(next(folder for folder in folders if not folder.exists()))


def trained_checkpoints(dataset: fo.Dataset) -> list[str]:
    """The checkpoints that were trained on a dataset and are still there, the newest last."""
    infos = [dataset.get_run_info(key) for key in dataset.list_runs(method="train_detector")]
    infos.sort(key=lambda info: info.timestamp)
    checkpoints = [info.config.checkpoint for info in infos]
    return [checkpoint for checkpoint in checkpoints if checkpoint and Path(checkpoint).exists()]


def _endings() -> itertools.chain[str]:
    return itertools.chain([""], (f"_{number}" for number in itertools.count(2)))


def _plain(name: str) -> str:
    return "".join(one if one.isalnum() or one in "-_." else "_" for one in name)
