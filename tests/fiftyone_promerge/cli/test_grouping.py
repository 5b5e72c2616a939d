"""`promerge group`, `promerge name` and `promerge spread`."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def field(promerge, photos: Path, dataset_name: str) -> tuple[str, str]:
    """A dataset and its field of masks."""
    promerge("generate", photos, "--dataset", dataset_name, *promerge.FAST)
    return dataset_name, "promerge"


def test_masks_are_grouped_named_and_corrected_and_the_labels_spread(promerge, field):
    import fiftyone as fo

    embedded = ("--backbone", "embedded")
    result = promerge("group", *field, *embedded, "--method", "kmeans", "--groups", 2)
    assert result.exit_code == 0, result.output
    assert "vectors of 11 numbers" in result.output and "group 1: " in result.output
    result = promerge("name", *field, "0=disc", "1=-")
    assert result.exit_code == 0 and "disc: " in result.output and "-: " in result.output
    dataset = fo.load_dataset(field[0])
    dataset.reload()
    assert "disc" in dataset.distinct("promerge.detections.label")
    for sample, label in zip(dataset.limit(2), ("coin", "plate"), strict=True):
        sample.promerge.detections[0].label = label
        sample.promerge.detections[0].tags = []
        sample.save()
    result = promerge("spread", *field, "--threshold", 0)
    assert result.exit_code == 0 and "from 2 labels" in promerge.message(result), result.output
    dataset.reload()
    assert {"coin", "plate"} <= set(dataset.distinct("promerge.detections.label"))


def test_where_no_groups_are_found_it_is_said(promerge, field):
    result = promerge("group", *field, "--backbone", "embedded")
    assert result.exit_code == 0 and "hdbscan found no groups" in promerge.message(result)


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (["0=disc"], 1, "there is no group 0"),
        (["disc"], 2, "'disc' is not GROUP=NAME"),
        (["x=disc"], 2, "'x=disc' is not GROUP=NAME"),
        (["0=a", "0=b"], 2, "names a group again"),
        ([f"{'9' * 400}=a"], 1, "there is no group 999"),
        (["\u0663=a"], 1, "there is no group 3"),
    ],
)
def test_a_wrong_name_is_one_sentence(promerge, field, names, code, message):
    result = promerge("name", *field, *names)
    assert result.exit_code == code and message in promerge.message(result)


def test_a_name_of_300_characters_is_one_sentence(promerge, field):
    promerge("group", *field, "--backbone", "embedded")
    result = promerge("name", *field, f"0={'x' * 300}")
    assert result.exit_code == 1 and "1 to 100 printable characters" in promerge.message(result)


@pytest.mark.parametrize("command", ["group", "name", "spread"])
def test_a_dataset_or_field_that_is_not_there_is_one_sentence(promerge, field, command):
    more = ["0=a"] if command == "name" else []
    result = promerge(command, "nothing", "promerge", *more)
    assert result.exit_code == 1 and "nothing" in promerge.message(result)
    result = promerge(command, field[0], "masks", *more)
    assert result.exit_code == 1 and "There is no field 'masks'" in promerge.message(result)


def test_labels_that_nobody_set_cannot_be_spread(promerge, field):
    promerge("group", *field, "--backbone", "embedded")
    result = promerge("spread", *field)
    assert result.exit_code == 1 and "at least two are set" in promerge.message(result)
