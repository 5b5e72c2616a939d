"""Loading benchmarks, the published numbers, and the commands."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image

WIDTH, HEIGHT = 30, 20


@pytest.fixture
def load(make_dataset, tmp_path):
    """Loads a benchmark of made-up images under a throw-away name."""
    import fiftyone_promerge as fop

    def run(name, content, present, images_dir=None):
        for path in present:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT)).save(path)
        annotations = tmp_path / "annotations.json"
        annotations.write_text(json.dumps(content))
        blank = make_dataset()
        blank_name = blank.name
        blank.delete()
        return fop.load_benchmark(name, images_dir or tmp_path, annotations, blank_name)

    return run


def image(image_id, file_name, **changes):
    size = {"width": WIDTH, "height": HEIGHT}
    return {"id": image_id, "file_name": file_name} | size | changes


def annotation(annotation_id, image_id, **changes):
    box = {"bbox": [1, 2, 10, 5], "area": 50, "iscrowd": 0, "category_id": 1}
    return {"id": annotation_id, "image_id": image_id} | box | changes


def coco_file(images, annotations):
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def test_ground_truth_is_class_agnostic_and_keeps_coco_s_own_numbers(load, tmp_path):
    square = [[1, 2, 11, 2, 11, 7, 1, 7]]
    annotations = [
        annotation(5, 1, segmentation=square, category_id=2, area=49.5),
        annotation(6, 1, iscrowd=1),
    ]
    dataset = load("coco2017", coco_file([image(1, "a.png")], annotations), [tmp_path / "a.png"])
    [first, crowd] = dataset.first().ground_truth.detections
    assert (first.label, first.category, crowd.category) == ("object", "dog", "cat")
    assert (first.area, first.coco_id, list(first.coco_bbox)) == (49.5, 5, [1, 2, 10, 5])
    assert (first.iscrowd, crowd.iscrowd) == (0, 1)
    assert first.mask.shape == (5, 10)
    assert dataset.info["benchmark"] == "coco2017"
    assert dataset.first().metadata.width == WIDTH


def test_images_are_found_in_both_folders_and_missing_ones_are_listed(load, tmp_path):
    """As LVIS has it: images of val2017 and train2017, one known by its URL alone."""
    images = [
        image(1, "val2017/1.png"),
        image(2, "2.png"),
        image(3, "", coco_url="http://images/train2017/3.png"),
        image(4, "val2017/4.png"),
    ]
    present = [tmp_path / "val2017/1.png", tmp_path / "val2017/2.png", tmp_path / "train2017/3.png"]
    annotations = [annotation(i, i) for i in (4, 3, 2, 1)]
    dataset = load("lvis", coco_file(images, annotations), present)
    assert dataset.values("filepath") == [str(path) for path in present]
    assert dataset.values("ground_truth.detections.coco_id") == [[1], [2], [3]]
    assert dataset.info["missing_images"] == ["val2017/4.png"]


def test_an_image_whose_name_is_not_utf8_is_missing(make_dataset, tmp_path):
    """The database holds only text."""
    import fiftyone_promerge as fop
    from promerge_core.runs.coco_json import write_json

    name = make_dataset().name + "-utf8"
    file_names = [os.fsdecode(b"latin\xe9.png"), "a.png"]
    images = [image(number, file_name) for number, file_name in enumerate(file_names)]
    for file_name in file_names:
        try:
            Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / file_name)
        except OSError:
            pytest.skip("this file system has no such names")
    annotations = [annotation(i, i) for i in (0, 1)]
    write_json(tmp_path / "masks.json", {}, images, annotations)
    dataset = fop.load_benchmark("kitti", tmp_path, tmp_path / "masks.json", name)
    assert dataset.values("filepath") == [str(tmp_path / "a.png")]
    assert dataset.values("ground_truth.detections.coco_id") == [[1]]
    assert dataset.info["missing_images"] == [r"latin\udce9.png"]
    dataset.delete()


def test_the_images_folder_itself_may_be_given(load, tmp_path):
    path = tmp_path / "val2017" / "1.png"
    content = coco_file([image(1, "val2017/1.png")], [annotation(1, 1)])
    dataset = load("lvis", content, [path], images_dir=path.parent)
    assert dataset.values("filepath") == [str(path)]


@pytest.mark.parametrize("file_name", ["../a.png", "/etc/a.png", "x/../../a.png", "", ".", "x/.."])
def test_paths_cannot_leave_the_images_folder(load, tmp_path, file_name):
    folder = tmp_path / "images"
    with pytest.raises(ValueError, match=r"image 1 has the path '.*' outside images_dir"):
        load("kitti", coco_file([image(1, file_name)], []), [folder / "a.png"], folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"info": {}}, "not a COCO dataset: it has no images"),
        ([annotation(1, 1)], "not a COCO dataset: it has no images"),
        (coco_file([{"id": 1}], []), "has no width and no height"),
        (coco_file([image(1, "a.png"), image(1, "a.png")], []), "Images .*id 1 is there more"),
        (coco_file([image(1, "a.png")], [annotation(2, 1)] * 2), "Annotations .*id 2 is there"),
        (coco_file([image(1, "a.png")], [annotation(2, 1, bbox=[0, 0, -3, 1])]), "negative width"),
        (coco_file([image([1], "a.png")], []), r"Images .* the id \[1\] is not an integer"),
        (coco_file([image(1, "a.png", width="30")], []), "image 1 has the width and height"),
        (coco_file([image(1, ["a.png"])], []), "image 1 has the file_name .* no text"),
        (coco_file([image(1, "a.png")], [annotation(2, [1])]), "annotation 2 has the image_id"),
        (coco_file([image(1, "a.png")], [annotation(2, 1, category_id=7)]), "no category has: 7"),
        (
            coco_file([image(1, "a.png")], [annotation(2, 1, segmentation=[[1e9] * 6])]),
            r"annotations\.json: annotation 2 of image 1 has a polygon far outside",
        ),
        (
            {**coco_file([image(1, "a.png")], []), "categories": [{"id": [1], "name": "cat"}]},
            r"A category of .*annotations\.json is not a number and a name",
        ),
        (coco_file([image(1, "b.png")], []), "None of the 1 images .* signing up from https://www"),
    ],
)
def test_bad_files_are_refused_in_one_sentence_and_leave_no_dataset(
    load, tmp_path, content, message
):
    import fiftyone as fo

    before = set(fo.list_datasets())
    with pytest.raises(ValueError, match=message) as error:
        load("objects365", content, [tmp_path / "a.png"])
    assert "\n" not in str(error.value)
    assert set(fo.list_datasets()) <= before


def test_a_name_that_no_file_can_have_is_missing(load, tmp_path):
    names = ["a.png", "x" * 5000, "nul\0.png"]
    images = [image(number, name) for number, name in enumerate(names)]
    dataset = load("kitti", coco_file(images, []), [tmp_path / "a.png"])
    assert dataset.info["missing_images"] == names[1:]


def test_missing_files_say_where_to_get_them(database, tmp_path):
    import fiftyone_promerge as fop
    from fiftyone_promerge.benchmarks.registry import BENCHMARKS

    for name, benchmark in BENCHMARKS.items():
        for folder, file in [(tmp_path / "no", "no.json"), (tmp_path, tmp_path / "no")]:
            with pytest.raises(ValueError, match=r"There is no (folder|file)") as error:
                fop.load_benchmark(name, folder, file)
            assert benchmark.annotations in str(error.value)
            assert ("after signing up" in str(error.value)) == benchmark.sign_up
    with pytest.raises(ValueError, match="no benchmark 'imagenet': choose from coco2017"):
        fop.load_benchmark("imagenet")
