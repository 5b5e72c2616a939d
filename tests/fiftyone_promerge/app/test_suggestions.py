"""Paths that forms suggest."""

from __future__ import annotations

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def register(dataset, key, folder, checkpoint=None):
    config = dataset.init_run(
        method="train_detector", output_dir=str(folder), checkpoint=checkpoint
    )
    dataset.register_run(key, config, overwrite=True)


def test_an_export_is_named_after_dataset_and_field(make_dataset, home):
    from fiftyone_promerge.app.suggestions import export_path

    dataset = make_dataset()
    assert export_path(dataset, "masks") == str(home / "promerge" / f"{dataset.name}_masks.json")


def test_a_training_that_was_stopped_is_continued_and_another_gets_a_new_folder(make_dataset, home):
    from fiftyone_promerge.app.suggestions import trained_checkpoints, training_folder

    dataset = make_dataset()
    first = home / "promerge" / f"{dataset.name}_masks"
    assert training_folder(dataset, "masks") == str(first)
    first.mkdir(parents=True)
    assert training_folder(dataset, "masks") == f"{first}_2"
    register(dataset, "masks_detector", first)
    assert training_folder(dataset, "masks") == str(first)
    assert trained_checkpoints(dataset) == []
    checkpoint = first / "detector.pt"
    register(dataset, "masks_detector", first, str(checkpoint))
    assert trained_checkpoints(dataset) == []
    checkpoint.touch()
    assert trained_checkpoints(dataset) == [str(checkpoint)]
    assert training_folder(dataset, "masks") == f"{first}_2"
