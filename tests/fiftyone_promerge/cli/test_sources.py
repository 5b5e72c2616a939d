"""What `promerge generate` takes images from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from fiftyone_promerge.cli.sources import find_source
from promerge_core.runs.sources import RunError


def test_glob_and_coco_json_as_sources(promerge, photos: Path, tmp_path: Path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert (
        promerge("generate", photos / "**/*.png", "--output", first, *promerge.FAST).exit_code == 0
    )
    source = tmp_path / "annotations.json"
    images = [{"id": 70, "file_name": "1.png"}, {"id": 7, "file_name": "more/4.png"}]
    source.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    result = promerge(
        "generate", source, "--images-dir", photos, "--output", second, *promerge.FAST
    )
    assert result.exit_code == 0, result.output
    assert len(COCO(str(first)).imgs) == 5
    assert list(COCO(str(second)).imgs) == [7, 70]


def test_a_source_is_named_after_its_folder_or_file(photos: Path):
    for source, root, name, count in [
        (photos, photos, "photos", 5),
        (photos / "0.png", photos, "0", 1),
        (photos / "more" / "*.png", photos / "more", "more", 1),
        (photos / "**" / "*.png", photos, "photos", 5),
    ]:
        found = find_source(str(source), None)
        assert (found.root, found.name, len(found.entries)) == (str(root), name, count)


def test_an_existing_dataset_is_a_source(dataset_name: str):
    import fiftyone as fo

    fo.Dataset(dataset_name)
    assert find_source(dataset_name, None) == (None, "", dataset_name)


@pytest.mark.parametrize("source", ["nowhere", "nowhere/*.png"])
def test_what_is_not_there_is_no_source(source: str, database: str):
    with pytest.raises(RunError, match="nowhere"):
        find_source(source, None)
