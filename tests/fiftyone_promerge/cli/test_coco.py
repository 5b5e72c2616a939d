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
