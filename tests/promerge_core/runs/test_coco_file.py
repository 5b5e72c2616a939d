"""The one COCO reader: what it finds in any file, and that it never holds a whole one."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from promerge_core.errors import CocoError
from promerge_core.runs.coco_file import CocoFile

IMAGE = {"id": 1, "file_name": "a.png", "width": 4, "height": 3}
ANNOTATION = {"id": 1, "image_id": 1, "score": 0.5}
ODD_NAME = "latin\udce9.png"


@pytest.fixture
def written(tmp_path):
    """Writes a file, gives its reader."""

    def write(content):
        path = tmp_path / "input.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return CocoFile(path)

    return write


def test_a_dataset_is_read_in_any_order_of_its_parts(written):
    parts = {
        "info": {"description": "ours", "ratio": 1.5},
        "images": [IMAGE, IMAGE | {"id": 2}],
        "annotations": [ANNOTATION],
        "categories": [{"id": 3, "name": "cat"}],
    }
    for names in (list(parts), list(parts)[::-1]):
        file = written({name: parts[name] for name in names})
        assert file.info() == parts["info"]
        assert list(file.images()) == parts["images"]
        assert list(file.annotations()) == parts["annotations"]
        assert file.categories() == {3: "cat"}
        assert not file.is_results()


def test_a_list_is_results(written):
    file = written([{"image_id": 1, "score": 0.5}])
    assert file.is_results()
    assert list(file.annotations()) == [{"image_id": 1, "score": 0.5}]
    assert file.info() == {}
    assert file.categories() == {}


@pytest.mark.parametrize("content", [{}, {"info": 3}, {"info": None}, [], 3])
def test_a_file_that_does_not_say_what_made_it_has_no_info(written, content):
    assert written(content).info() == {}


def test_images_may_be_none_but_must_be_a_list(written):
    assert list(written({"images": []}).images()) == []
    for content in ({}, [], 3, {"images": 3}, {"images": None}, {"images": {"id": 1}}):
        with pytest.raises(CocoError, match="not a COCO dataset: it has no images"):
            list(written(content).images())


def test_what_an_image_must_have_can_be_chosen(written):
    file = written({"images": [{"id": 1, "file_name": "a.png"}]})
    assert len(list(file.images(("id", "file_name")))) == 1
    with pytest.raises(CocoError, match="has no width and no height"):
        list(file.images())


CUT_OFF = json.dumps({"images": [IMAGE, IMAGE]})[:-20]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "premature EOF"),
        ("words", "invalid char in json text"),
        ('{"images": [{"id": NaN}]}', "invalid char"),
        (CUT_OFF, "premature EOF"),
        (b'{"images": ["latin\xe9"]}', "invalid bytes in UTF8 string"),
        (CUT_OFF.replace("a.png", "\\udce9.png"), "Incomplete"),
        ('{"info": ["\\udce9", "\\x"]}', r"Invalid \\escape"),
    ],
)
def test_what_is_no_json_is_refused_in_one_sentence(written, content, reason):
    for read in (CocoFile.images, CocoFile.annotations, CocoFile.info):
        with pytest.raises(CocoError, match=rf"input\.json is not valid JSON.*{reason}") as error:
            list(read(written(content)))
        assert "\n" not in str(error.value)
        assert r"\n" not in str(error.value)


@pytest.mark.parametrize("at", [0, 1, 2000, 3999])
def test_names_that_are_not_utf8_are_read_wherever_they_stand(written, at):
    images = [IMAGE | {"id": number, "ratio": number / 7} for number in range(4000)]
    images[at]["file_name"] = ODD_NAME
    file = written({"info": {"skipped": [ODD_NAME]}, "images": images, "annotations": []})
    assert file.info() == {"skipped": [ODD_NAME]}
    assert not file.is_results()
    assert list(file.images()) == images


def test_a_file_is_never_held_in_memory(written):
    count = 20_000
    file = written({"annotations": [ANNOTATION | {"x": "x" * 500}] * count, "images": [IMAGE]})
    tracemalloc.start()
    assert sum(1 for _ in file.annotations()) == count
    assert len(list(file.images())) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.path.stat().st_size > 10_000_000 > 10 * peak


@pytest.mark.parametrize("method", ["info", "is_results", "images", "annotations", "categories"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, method):
    os.mkfifo(tmp_path / "fifo")
    for path in (Path("/dev/zero"), tmp_path / "fifo", tmp_path):
        with pytest.raises(CocoError, match=r"is a (device|FIFO|folder), not a file"):
            list(getattr(CocoFile(path), method)() or [])
