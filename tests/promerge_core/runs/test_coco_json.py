"""The one COCO writer: what it writes, and what is left when it cannot."""

from __future__ import annotations

import json
import multiprocessing
import os
import tracemalloc
from concurrent.futures import ProcessPoolExecutor

import pytest

from promerge_core.errors import CocoError
from promerge_core.runs.coco_json import write_coco, write_json
from promerge_core.runs.locks import hold
from promerge_core.runs.sources import RunError

RUN = {"method": "promerge", "batch_size": 3}
IMAGE = {"id": 1, "file_name": "a.png", "width": 4, "height": 3}
ANNOTATION = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}


def test_results_have_neither_boxes_nor_areas(tmp_path, rows):
    write_coco(tmp_path / "results.json", RUN, lambda: rows, "results")
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results) == sum(len(row.get("masks", ())) for row in rows)
    assert set(results[0]) == {"image_id", "category_id", "segmentation", "score"}


def test_a_dataset_begins_with_what_made_it(tmp_path, rows):
    summary = write_coco(tmp_path / "masks.json", RUN, lambda: rows)
    content = json.loads((tmp_path / "masks.json").read_text())
    assert list(content) == ["info", "categories", "images", "annotations"]
    assert list(content["info"]) == ["description", "run", "summary"]
    assert content["info"]["run"] == RUN
    assert content["info"]["summary"] == summary.to_dict()
    assert len(content["images"]) == summary.images == 6
    assert len(content["annotations"]) == summary.masks > 3


def test_each_row_is_a_line(tmp_path):
    output = tmp_path / "out.json"
    images = [IMAGE, IMAGE | {"id": 2}]
    annotations = [ANNOTATION | {"id": number} for number in (7, 1, 2)]
    assert write_json(output, {"field": "x"}, images, annotations) == 3
    info, categories, *lists = output.read_text().splitlines()
    assert json.loads(info[:-1] + "}")["info"]["field"] == "x"
    assert json.loads("{" + categories[:-1] + "}")["categories"][0]["name"] == "object"
    assert lists == [
        '"images": [',
        f"{json.dumps(images[0])},",
        json.dumps(images[1]),
        "],",
        '"annotations": [',
        f"{json.dumps(annotations[0])},",
        f"{json.dumps(annotations[1])},",
        json.dumps(annotations[2]),
        "]}",
    ]


def interrupted():
    yield ANNOTATION
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["dataset", "results"])
def test_what_fails_leaves_an_old_file_as_it_was_and_nothing_beside(tmp_path, kind):
    output = tmp_path / "out.json"
    output.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_json(output, {}, [IMAGE], interrupted(), kind)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert output.read_text() == "old"


def test_a_folder_in_the_way_leaves_nothing_beside(tmp_path):
    (tmp_path / "out.json").mkdir()
    with pytest.raises(RunError, match=r"out\.json is a folder; name a file"):
        write_json(tmp_path / "out.json", {}, [IMAGE], [ANNOTATION])
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(tmp_path, number):
    wrong = ANNOTATION | {"id": 2, "score": number}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "out.json", {}, [IMAGE], [ANNOTATION, wrong])
    assert not list(tmp_path.iterdir())


def test_rows_are_written_as_they_come(tmp_path):
    count = 20_000
    annotations = (
        ANNOTATION | {"id": number, "segmentation": "x" * 500} for number in range(1, count + 1)
    )
    tracemalloc.start()
    write_json(tmp_path / "out.json", {}, [IMAGE], annotations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "out.json").stat().st_size > 10_000_000 > 10 * peak


@pytest.mark.parametrize("ids", [[1, 2, 3, 2], [5, 3, 5], [2, 1, 2], [7, 1, 2, 3, 7], [0, 0]])
@pytest.mark.parametrize("what", ["images", "annotations"])
def test_two_of_the_same_id_are_refused_and_nothing_is_left(tmp_path, what, ids):
    lists = {"images": [IMAGE], "annotations": [ANNOTATION]}
    lists[what] = [lists[what][0] | {"id": number} for number in ids]
    with pytest.raises(CocoError, match=f"two {what} have the id {ids[-1]};"):
        write_json(tmp_path / "out.json", {}, **lists)
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_neither_opened_nor_replaced(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for name in ("fifo", "link"):
        with pytest.raises(RunError, match="fifo is a FIFO; name a file to write"):
            write_json(tmp_path / name, {}, [IMAGE], [ANNOTATION])
    assert (tmp_path / "fifo").is_fifo()


def test_the_file_behind_a_link_is_written(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "out.json").symlink_to("below/real.json")
    write_json(tmp_path / "out.json", {}, [IMAGE], [ANNOTATION])
    assert (tmp_path / "out.json").is_symlink()
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["real.json"]


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_draft_is_not_written_through(tmp_path, kind):
    (tmp_path / "precious").write_text("words")
    if kind == "link":
        (tmp_path / "out.json.promerge-draft").symlink_to("precious")
    else:
        os.mkfifo(tmp_path / "out.json.promerge-draft")
    write_json(tmp_path / "out.json", {}, [IMAGE], [ANNOTATION])
    assert (tmp_path / "precious").read_text() == "words"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "precious"]


def test_two_writers_at_once_do_not_mix(tmp_path):
    output = tmp_path / "out.json"

    def images():
        with pytest.raises(RunError, match="is being written by process"):
            in_another_process(output)
        yield IMAGE

    write_json(output, {}, images(), [ANNOTATION])
    with hold(output):
        assert json.loads(output.read_text())["images"] == [IMAGE]


def in_another_process(output):
    """Writes the same file elsewhere; its RunError comes here."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(write_json, output, {}, [], []).result()
