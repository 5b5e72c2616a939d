"""The one COCO writer: what it writes, and what is left when it cannot."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from promerge_core.runs.coco_json import write_coco, write_json

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
    assert write_json(output, {"field": "x"}, [IMAGE, IMAGE], [ANNOTATION] * 3) == 3
    info, categories, *lists = output.read_text().splitlines()
    assert json.loads(info[:-1] + "}")["info"]["field"] == "x"
    assert json.loads("{" + categories[:-1] + "}")["categories"][0]["name"] == "object"
    image, annotation = json.dumps(IMAGE), json.dumps(ANNOTATION)
    assert lists == [
        '"images": [',
        f"{image},",
        image,
        "],",
        '"annotations": [',
        f"{annotation},",
        f"{annotation},",
        annotation,
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
    with pytest.raises(OSError, match=r"out\.json"):
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
    annotations = (ANNOTATION | {"segmentation": "x" * 500} for _ in range(count))
    tracemalloc.start()
    write_json(tmp_path / "out.json", {}, [IMAGE], annotations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "out.json").stat().st_size > 10_000_000 > 10 * peak
