"""What `promerge generate` takes images from."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from fiftyone_promerge.cli.masks.sources import find_source
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


PATTERNS = ["**/*.png", "*", "**", "a/**", "**/a/*.png", "./**/*.png", "**/**/x.png", "a/*/**/x.*"]


@pytest.mark.parametrize("pattern", [*PATTERNS, "c*/**/*", "[ab]/**/y.png", ".h/**/*", "{}/**/b/*"])
def test_without_links_a_glob_finds_what_pythons_does_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
):
    monkeypatch.chdir(tmp_path)
    pattern = pattern.format(tmp_path)
    for folder in ("", "a", "a/b", "a/b/a", "a-b/a", "b/a/b", "c[1]/a", ".h/b", "a/.h"):
        Path(folder).mkdir(exist_ok=True, parents=True)
        for name in ("x.png", "y.png", ".z.png", "w.jpg"):
            Path(folder, name).write_text("")
    names = set(glob.glob(pattern, recursive=True))  # noqa: PTH207
    expected = [Path(name) for name in sorted(names)]
    found = find_source(pattern, None).entries or []
    assert [entry.path for entry in found] == [path for path in expected if path.is_file()]
    assert found


def test_links_that_lead_round_give_each_photo_once_under_its_plain_name(photos: Path):
    for name in ("again", "and again", "a"):
        (photos / name).symlink_to(".")
    (photos / "more" / "up").symlink_to("..")
    (photos / "aaa.png").symlink_to("0.png")
    (photos / "itself").symlink_to("itself")
    found = find_source(str(photos / "**" / "*.png"), None).entries or []
    assert [entry.file_name for entry in found] == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
        "more/4.png",
    ]


def test_photos_behind_a_link_are_found(photos: Path, tmp_path: Path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "b").symlink_to(photos)
    (tmp_path / "linked" / "a").symlink_to(photos / "more")
    found = find_source(str(tmp_path / "linked" / "**" / "*.png"), None).entries or []
    names = [entry.file_name for entry in found]
    assert names == ["a/4.png", "b/0.png", "b/1.png", "b/2.png", "b/3.png"]


def test_what_cannot_be_opened_is_among_the_hits_of_a_glob(photos: Path):
    os.mkfifo(photos / "fifo.png")
    (photos / "nothing.png").symlink_to("nowhere.png")
    found = find_source(str(photos / "*.png"), None).entries or []
    assert [entry.file_name for entry in found][4:] == ["fifo.png", "nothing.png"]
