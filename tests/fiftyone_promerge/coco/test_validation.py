"""What is wrong in a COCO file is said in one sentence, before pycocotools sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

WIDTH, HEIGHT = 37, 23
TRIANGLE = [2, 2, 12, 2, 12, 9]


@pytest.fixture
def refusal(database):
    """The sentence with which an annotation is refused; None where it is taken."""
    from fiftyone_promerge.coco.annotations import CocoError, ImageSize
    from fiftyone_promerge.coco.importing import annotation_to_detection
    from fiftyone_promerge.coco.validation import named_annotations

    def refused(**values):
        try:
            for what, one in named_annotations([{"image_id": 7, **values}], Path("f.json")):
                annotation_to_detection(one, ImageSize(WIDTH, HEIGHT), what)
        except CocoError as error:
            return str(error)
        return None

    return refused


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ("text", "neither polygons nor RLE"),
        (5, "neither polygons nor RLE"),
        (TRIANGLE, "a polygon that is not a list of finite numbers"),
        ([TRIANGLE, 5], "a polygon that is not a list of finite numbers"),
        ([[*TRIANGLE[:5], "9"]], "a polygon that is not a list of finite numbers"),
        ([[*TRIANGLE[:5], None]], "a polygon that is not a list of finite numbers"),
        ([[*TRIANGLE[:5], 1e400]], "a polygon that is not a list of finite numbers"),
        ([[*TRIANGLE[:5], float("nan")]], "a polygon that is not a list of finite numbers"),
        ([[*TRIANGLE[:5], 10**400]], "a polygon that is not a list of finite numbers"),
        ([[]], "a polygon of 0 numbers"),
        ([[1, 2]], "a polygon of 2 numbers"),
        ([[1, 2, 3, 4]], "a polygon of 4 numbers"),
        ([TRIANGLE, [1, 2]], "a polygon of 2 numbers"),
        ([[*TRIANGLE, 5]], "a polygon of 7 numbers"),
        ([[1e9, 1e9, -1e9, 5, 7, 1e9]], "a polygon far outside its image of 37 x 23 pixels"),
        ([[*TRIANGLE[:5], -371]], "a polygon far outside its image of 37 x 23 pixels"),
        ([[0, 0, 370, 370] * 10_000], "a polygon whose outline is 7400000 pixels long"),
        ({"size": [HEIGHT, WIDTH]}, "an RLE without size and counts"),
        ({"size": [HEIGHT, WIDTH], "counts": "1"}, "do not add up to its size"),
        ({"size": [WIDTH, HEIGHT], "counts": [851]}, r"an RLE of size [37, 23], its image has"),
    ],
)
def test_a_wrong_mask_is_refused_with_file_and_id(refusal, segmentation, message):
    sentence = refusal(id=5, segmentation=segmentation)
    assert sentence.startswith("f.json: annotation 5 of image 7 has ")
    assert message in sentence


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bbox": "0011"}, "the box '0011', which is not four finite numbers"),
        ({"bbox": [0, 0, 1, True]}, "not four finite numbers"),
        ({"bbox": [0, 0, 1, 10**400]}, "not four finite numbers"),
        ({"bbox": [0, 0, 1, 1, *range(10_000)]}, "the box [0, 0, 1, 1, 0, 1, ...], which"),
        ({"bbox": [0, 0, -1, 5]}, "negative width or height"),
        ({"bbox": [0, 0, 1, 1e30]}, "far outside its image"),
        ({"score": [0.5]}, "the score [0.5], which is not a finite number"),
        ({"score": 10**400}, "the score 1000000"),
        ({"score": 10**5000}, "the score a number of thousands of digits, which is not"),
        ({"score": "a\nb" * 5000}, r"the score 'a\nba\n"),
        ({"area": "big"}, "the area 'big', which is not a finite number"),
        ({"iscrowd": 7}, "iscrowd 7, which is not 0 or 1"),
        ({"iscrowd": [1]}, "iscrowd [1], which is not 0 or 1"),
        ({"category_id": "cat"}, "the category_id 'cat', which is not an integer"),
    ],
)
def test_a_wrong_number_is_refused_in_one_short_line(refusal, values, message):
    sentence = refusal(**{"id": 5, "bbox": [0, 0, 1, 1], **values})
    assert sentence.startswith("f.json: annotation 5 of image 7 has ")
    assert message in sentence
    assert "\n" not in sentence
    assert len(sentence) < 200


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id": [1]}, r"Annotations of f.json: the id [1] is not an integer of 64 bits"),
        ({"id": True}, "the id True is not an integer"),
        ({"id": 2**63}, "the id 9223372036854775808 is not an integer of 64 bits"),
        ({"id": 5, "image_id": [7]}, "f.json: annotation 5 has the image_id [7], which is not"),
        ({"image_id": {}}, "annotation number 1, which has no id, has the image_id {}"),
        ({"bbox": [1]}, "f.json: annotation number 1, which has no id, of image 7 has the box"),
    ],
)
def test_a_wrong_id_is_refused_and_a_missing_one_replaced_by_the_place(refusal, values, message):
    assert message in refusal(**{"bbox": [0, 0, 1, 1], **values})


@pytest.mark.parametrize(
    "values",
    [
        {"segmentation": [[-3, -2.5, 40.2, -2, 39, 30]], "bbox": [-3, -2.5, 43, 32]},
        {"segmentation": [TRIANGLE, [20, 10, 30, 10, 25.5, 20, 21, 19]]},
        {"segmentation": [], "bbox": [0, 0, 0, 0], "score": None, "area": None},
        {"bbox": [0.5, 0, 37, 23.5], "iscrowd": True, "score": -3, "area": 0},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 851]}, "iscrowd": 1},
    ],
)
def test_what_real_files_have_is_taken(refusal, values):
    assert refusal(**values) is None


def test_a_polygon_that_leaves_the_image_is_cut_off_at_its_border(database):
    from fiftyone_promerge.coco.annotations import ImageSize
    from fiftyone_promerge.coco.validation import annotation_rle

    outside = [-30, -20, 60, -20, 60, 10, -30, 10]
    inside = [0, 0, WIDTH, 0, WIDTH, 10, 0, 10]
    size = ImageSize(WIDTH, HEIGHT)
    cut, whole = (
        coco_mask.decode(annotation_rle([polygon], size, "it")) for polygon in (outside, inside)
    )
    assert np.array_equal(cut, whole)


def test_every_mask_of_real_files_is_as_pycocotools_makes_it(database, shared_dir):
    from fiftyone_promerge.coco.annotations import ImageSize
    from fiftyone_promerge.coco.validation import annotation_rle, check_numbers

    for split in ("train", "val"):
        content = json.loads((shared_dir / f"coco_sample/instances_{split}2017.json").read_text())
        sizes = {one["id"]: ImageSize(one["width"], one["height"]) for one in content["images"]}
        for one in content["annotations"]:
            size = sizes[one["image_id"]]
            check_numbers(one, size, "it")
            rle = coco_mask.frPyObjects(one["segmentation"], size.height, size.width)
            expected = coco_mask.merge(rle) if isinstance(rle, list) else rle
            assert annotation_rle(one["segmentation"], size, "it") == expected


@pytest.mark.parametrize("side", [0, -5, 2.0, "20", None, True, [20], 10**6])
def test_an_image_of_no_or_too_large_a_size_is_refused(database, side):
    from fiftyone_promerge.coco.annotations import CocoError
    from fiftyone_promerge.coco.validation import check_image

    with pytest.raises(CocoError, match=r"f\.json: image 3 has (the width and height|more pixels)"):
        check_image({"id": 3, "width": 1000, "height": side}, Path("f.json"))
    check_image({"id": 3, "width": 12_000, "height": 12_000}, Path("f.json"))
