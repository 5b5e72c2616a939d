"""`promerge export` and `promerge import`: what they refuse; see test_evaluate.py for the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    """A COCO file without an image."""
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    return path


def test_export_takes_a_dataset_and_a_field_or_shards(promerge, tmp_path: Path):
    result = promerge("export", "dataset", "field", "more", tmp_path / "out.json")
    assert result.exit_code == 2
    assert "a dataset and its field, or the folder of shards" in promerge.message(result)


def test_export_of_a_folder_without_shards_is_one_sentence(promerge, tmp_path: Path):
    result = promerge("export", tmp_path, tmp_path / "out.json")
    assert result.exit_code == 1
    assert str(tmp_path.name) in promerge.message(result).replace(" ", "")
    assert not (tmp_path / "out.json").exists()


def test_import_of_a_json_finds_images_by_their_name(promerge, annotations: Path, database: str):
    command = ["import", "dataset", "field", annotations, "--images-dir", annotations.parent]
    result = promerge(*command)
    assert result.exit_code == 2
    assert "--images-dir is for shards" in promerge.message(result)


def test_import_of_a_json_needs_its_dataset(promerge, annotations: Path, database: str):
    result = promerge("import", "nothing", "field", annotations)
    assert result.exit_code == 1
    assert "there is no FiftyOne dataset 'nothing'" in promerge.message(result)


def test_export_replaces_no_file_unasked(promerge, photos: Path, annotations: Path, dataset_name):
    promerge("generate", photos, "--dataset", dataset_name, *promerge.FAST)
    before = annotations.read_bytes()
    command = ["export", dataset_name, "promerge", annotations]
    result = promerge(*command)
    assert result.exit_code == 1
    assert "no run of fiftyone-promerge wrote it" in promerge.message(result)
    assert annotations.read_bytes() == before
    assert promerge(*command, "--overwrite").exit_code == 0
    assert promerge(*command).exit_code == 0


def test_an_import_of_shards_that_fails_leaves_no_dataset(
    promerge, tmp_path: Path, dataset_name: str
):
    import fiftyone as fo

    from promerge_core.runs.shards import ShardFolder

    run = {"method": "promerge", "backbone": "embedded", "weights": None, "parameters": {}}
    ShardFolder(str(tmp_path)).begin({**run, "shard_size": 2}, str(tmp_path / "gone"), 2)
    result = promerge("import", dataset_name, "promerge", tmp_path)
    assert result.exit_code == 1
    assert "there is no folder" in promerge.message(result)
    assert not fo.dataset_exists(dataset_name)
