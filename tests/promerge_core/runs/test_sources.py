"""Which images a run is over: those of a folder, and those that a COCO json lists."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from promerge_core.runs.coco_json import write_json
from promerge_core.runs.sources import (
    ImageEntry,
    RunError,
    coco_images,
    compare_runs,
    find_images,
    run_identity,
)


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


def test_two_images_of_the_same_id_are_refused_before_any_work(listing, tmp_path):
    rows = [{"id": number, "file_name": f"{number}.jpg"} for number in (1, 7, 3)]
    path = listing([*rows, {"id": 7, "file_name": "other.jpg"}])
    with pytest.raises(RunError, match=r"instances\.json: two images have the id 7; each needs"):
        coco_images(path, tmp_path)


def test_a_listing_that_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    with pytest.raises(RunError, match=r"fifo\.json is a FIFO, not a file that can be read"):
        coco_images(tmp_path / "fifo.json", tmp_path)


def test_a_file_that_links_lead_to_is_one_image_under_its_plain_name(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "photo.png").write_text("")
    (tmp_path / "a.png").symlink_to("b/photo.png")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "linked").symlink_to("b")
    assert [entry.file_name for entry in find_images(tmp_path)] == ["b/photo.png"]
    assert [entry.file_name for entry in find_images(tmp_path / "loop")] == ["b/photo.png"]


def test_what_cannot_be_opened_is_among_the_images(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "itself.png").symlink_to("itself.png")
    (tmp_path / "nothing.png").symlink_to("nowhere.png")
    names = [entry.file_name for entry in find_images(tmp_path)]
    assert names == ["fifo.png", "itself.png", "nothing.png"]
    assert run_identity(find_images(tmp_path)) == run_identity(find_images(tmp_path))


# What a run is ------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    """A folder of two files, as old as their names say."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.png").write_text("x" * number)
        os.utime(folder / f"{number}.png", ns=(number, number))
    return folder


def change_nothing(photos):
    return photos


def change_the_way_there(photos):
    (photos.parent / "link").symlink_to(photos)
    return photos.parent / "link"


def change_the_folder(photos):
    return photos.rename(photos.with_name("elsewhere"))


def change_a_size(photos):
    (photos / "1.png").write_text("xx")
    os.utime(photos / "1.png", ns=(1, 1))
    return photos


def change_a_time(photos):
    os.utime(photos / "1.png", ns=(1, 5))
    return photos


def change_a_file_to_a_link(photos):
    (photos / "1.png").rename(photos.parent / "1.png")
    (photos / "1.png").symlink_to("../1.png")
    return photos


@pytest.mark.parametrize(
    ("change", "likeness"),
    [
        (change_nothing, "same"),
        (change_the_way_there, "same"),
        (change_the_folder, "files changed"),
        (change_a_size, "files changed"),
        (change_a_time, "files changed"),
        (change_a_file_to_a_link, "files changed"),
    ],
)
def test_a_run_is_where_its_files_are_and_their_sizes_and_times(photos, change, likeness):
    known = {"batch_size": 2, **run_identity(find_images(photos))}
    run = {"batch_size": 2, **run_identity(find_images(change(photos)))}
    assert compare_runs(known, run) == likeness


def test_ids_and_names_are_digested_as_before(photos):
    entries = find_images(photos)
    assert run_identity(entries)["images"] == (hashlib.sha256(b"1\t1.png\n2\t2.png\n").hexdigest())


def test_a_run_without_files_is_of_an_earlier_version(photos):
    run = {"batch_size": 2, **run_identity(find_images(photos))}
    old = {"batch_size": 2, "images": run["images"]}
    assert compare_runs(old, run) == "files unknown"
    for other in ({**old, "batch_size": 3}, {**old, "images": ""}, {}, None, [1], "words"):
        assert compare_runs(other, run) == "other"


def test_files_at_a_url_are_known_by_what_the_storage_tells():
    def identity(place, stamp):
        return run_identity([ImageEntry(1, "a.png", place / "a.png", stamp)])["files"]

    first = identity(Path("s3://bucket"), (3, 4))
    assert identity(Path("s3://bucket"), (3, 4)) == first
    others = [("s3://other", (3, 4)), ("s3://bucket", (3, 5)), ("s3://bucket", (None, None))]
    assert first not in [identity(Path(place), stamp) for place, stamp in others]
