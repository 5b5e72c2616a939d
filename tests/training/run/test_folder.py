"""What can be read of the folder of a run."""

from __future__ import annotations

import pytest

from fiftyone_promerge.training import (
    RECIPES,
    is_running,
    label_records,
    latest_picture,
    loss_curve,
    precision_curve,
    validation_images,
)
from fiftyone_promerge.training.data.records import write_records
from fiftyone_promerge.training.options import TrainingOptions
from fiftyone_promerge.training.run.settings import Settings


def test_the_loss_curve_is_what_was_told(trained):
    path, calls = trained
    told = {done: pytest.approx(metrics["loss"]) for done, _, metrics in calls}
    assert loss_curve(path.parents[1]) == told


def test_where_there_is_no_run_there_is_nothing(tmp_path):
    assert loss_curve(tmp_path) == precision_curve(tmp_path) == {}
    assert latest_picture(tmp_path) is None
    assert not is_running(tmp_path)
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


def test_precision_counts_iterations_over_all_rounds(tiny_recipe, tmp_path):
    Settings(TrainingOptions().to_dict(), RECIPES["tiny"], {}).save(tmp_path / "run.json")
    for number, text in enumerate(['{"4": 0.5, "2": 0.25}', '{"2": 0.75}']):
        (tmp_path / f"round_{number}").mkdir()
        (tmp_path / f"round_{number}" / "validations.json").write_text(text)
    assert list(precision_curve(tmp_path).items()) == [(2, 0.25), (4, 0.5), (6, 0.75)]


def test_the_latest_picture_is_that_of_the_last_round(tmp_path):
    for name in ("round_0/validation/000900.png", "round_1/validation/000100.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "round_1/validation/000050.png").touch()
    assert latest_picture(tmp_path) == tmp_path / "round_1/validation/000100.png"


def test_the_validation_images_of_a_run_can_be_read(trained):
    assert len(validation_images(trained[0].parents[1])) == 2
