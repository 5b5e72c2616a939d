"""Which images a run is over: those of a folder, and those that a COCO json lists."""

from __future__ import annotations

import os

import pytest

from promerge_core.runs.coco_json import write_json
from promerge_core.runs.sources import ImageEntry, RunError, coco_images, find_images


def test_images_of_a_folder_are_numbered_by_name(tmp_path):
    for name in (
        "b/5.png",
        "a/6.png",
        "a/5.jpg",
        "b/3.png",
        "a/4.png",
        "a/2.png",
        "b/1.png",
        "a/0.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    entries = find_images(tmp_path)
    expected = ["a/0.png", "a/2.png", "a/4.png", "a/5.jpg", "a/6.png", "b/1.png", "b/3.png"]
    assert [entry.file_name for entry in entries] == [*expected, "b/5.png"]
    assert [entry.id for entry in entries] == list(range(1, 9))
    assert all(entry.path == tmp_path / entry.file_name for entry in entries)


def test_only_image_files_are_found(tmp_path):
    for name in ("a.JPG", "b.jpeg", "c.tif", "d.txt", "e.pdf", "f", "g.json", ".h.png"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.png").mkdir()
    found = [entry.file_name for entry in find_images(tmp_path)]
    assert found == [".h.png", "a.JPG", "b.jpeg", "c.tif"]


def test_heic_and_avif_are_image_files_whatever_is_installed(tmp_path):
    for name in ("a.heic", "b.HEIF", "c.avif", "d.hif"):
        (tmp_path / name).write_text("")
    assert len(find_images(tmp_path)) == 4


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(RunError, match=f"{tmp_path} holds no image files"):
        find_images(tmp_path)


def test_images_of_a_coco_json_keep_their_ids(listing, tmp_path):
    rows = [{"id": 9, "file_name": "x/b.jpg", "width": 3}, {"id": 4, "file_name": "a.jpg"}]
    found = coco_images(listing(rows), tmp_path)
    assert found == [
        ImageEntry(4, "a.jpg", tmp_path / "a.jpg"),
        ImageEntry(9, "x/b.jpg", tmp_path / "x" / "b.jpg"),
    ]


@pytest.mark.parametrize("name", ["../a.jpg", "x/../../a.jpg", "/etc/a.jpg", "..", "x/../../y"])
def test_file_names_that_leave_the_folder_are_refused(listing, tmp_path, name):
    path = listing([{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": name}])
    (tmp_path / "images").mkdir()
    with pytest.raises(RunError, match="lies outside"):
        coco_images(path, tmp_path / "images")


def test_a_neighbour_whose_name_begins_alike_is_outside(listing, tmp_path):
    path = listing([{"id": 1, "file_name": "../images2/a.jpg"}])
    with pytest.raises(RunError, match="lies outside"):
        coco_images(path, tmp_path / "images")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "words",
        "[]",
        "{}",
        "3",
        '{"images": 3}',
        '{"images": null}',
        '{"images": [1]}',
        '{"images": [{"id": 1}]}',
        '{"images": [{"id": "x", "file_name": "a"}]}',
    ],
)
def test_what_is_no_coco_json_is_refused(listing, tmp_path, content):
    with pytest.raises(RunError, match="is no COCO json: it has no list of images"):
        coco_images(listing(content), tmp_path)


def test_bytes_that_are_no_text_are_no_coco_json(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="is no COCO json"):
        coco_images(tmp_path / "x.json", tmp_path)


def test_a_json_without_images_is_refused(listing, tmp_path):
    with pytest.raises(RunError, match="lists no images"):
        coco_images(listing([]), tmp_path)


def test_a_json_that_was_cut_off_is_refused_in_one_sentence(listing, tmp_path):
    path = listing('{"images": [{"id": 1, "file_name": "a.jpg"}, {"id"')
    with pytest.raises(
        RunError, match=r"instances\.json .* not valid JSON .*premature EOF$"
    ) as error:
        coco_images(path, tmp_path)
    assert "\n" not in str(error.value)


def test_names_that_are_not_utf8_come_back_from_our_own_file(tmp_path):
    name = os.fsdecode(b"latin\xe9.png")
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": name}]
    write_json(tmp_path / "masks.json", {}, images, [])
    assert coco_images(tmp_path / "masks.json", tmp_path) == [
        ImageEntry(1, "a.png", tmp_path / "a.png"),
        ImageEntry(2, name, tmp_path / name),
    ]
