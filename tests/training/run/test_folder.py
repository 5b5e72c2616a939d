"""What can be read of the folder of a run."""

from __future__ import annotations

import pytest

from fiftyone_promerge.training import label_records, loss_curve
from fiftyone_promerge.training.data.records import write_records


def test_the_loss_curve_is_what_was_told(trained):
    path, calls = trained
    told = {done: pytest.approx(metrics["loss"]) for done, _, metrics in calls}
    assert loss_curve(path.parents[1]) == told


def test_where_there_is_no_run_there_is_nothing(tmp_path):
    assert loss_curve(tmp_path) == {}
    assert label_records(tmp_path) == {}


def test_labels_are_those_of_self_training_alone(trained, records, tmp_path):
    """The first round's are the dataset's; a round may be there without labels yet."""
    for number in range(3):
        (tmp_path / f"round_{number}").mkdir()
    for number in (0, 1):
        write_records(tmp_path / f"round_{number}" / "records.jsonl", records[number:])
    found = label_records(tmp_path)
    assert {number: len(labels) for number, labels in found.items()} == {1: 9}
    assert label_records(trained[0].parents[1]) == {}
