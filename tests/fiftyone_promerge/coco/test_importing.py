"""COCO files into a field, and out again without a pixel's difference."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

WIDTH, HEIGHT = 37, 23


def rle_of(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def random_masks(count=40):
    """Masks of all kinds: single pixels, full images, stripes at borders, noise."""
    rng = np.random.default_rng(3)
    masks = rng.random((count, HEIGHT, WIDTH)) < rng.random((count, 1, 1))
    masks[0] = True
    for index, (row, column) in enumerate([(0, 0), (HEIGHT - 1, WIDTH - 1), (0, WIDTH - 1)], 1):
        masks[index] = False
        masks[index, row, column] = True
    masks[4] = np.arange(WIDTH) == WIDTH - 1
    return masks[masks.any((1, 2))]


def result(mask=None, **changes):
    mask = random_masks()[5] if mask is None else mask
    return {"image_id": 7, "category_id": 1, "score": 0.5, "segmentation": rle_of(mask)} | changes


def test_masks_come_back_exactly(image_7, results_file, tmp_path):
    from fiftyone_promerge import export_coco, import_coco

    masks = random_masks()
    import_coco(image_7, "masks", results_file([result(mask) for mask in masks]))
    assert export_coco(image_7, "masks", tmp_path / "out.json", kind="results") == len(masks)
    written = json.loads((tmp_path / "out.json").read_text())
    assert [r["segmentation"] for r in written] == [rle_of(mask) for mask in masks]
    assert {r["image_id"] for r in written} == {7}


def test_masks_on_disk_come_back_exactly(image_7, results_file, tmp_path):
    from fiftyone_promerge import export_coco, import_coco

    masks = random_masks()
    import_coco(image_7, "masks", results_file([result(mask) for mask in masks]))
    sample = image_7.first()
    for index, label in enumerate(sample.masks.detections):
        label.export_mask(str(tmp_path / f"{index}.png"), update=True)
    sample.save()
    assert set(image_7.values("masks.detections.mask", unwind=True)) == {None}
    export_coco(image_7, "masks", tmp_path / "out.json", kind="results")
    written = json.loads((tmp_path / "out.json").read_text())
    assert [r["segmentation"] for r in written] == [rle_of(mask) for mask in masks]


def test_a_dataset_file_finds_images_by_name(make_dataset, results_file, add_image):
    from fiftyone_promerge import import_coco

    dataset = make_dataset()
    add_image(dataset, "b.png")
    add_image(dataset, "a.png")
    size = {"width": WIDTH, "height": HEIGHT}
    images = [{"id": i, "file_name": f"x/{n}.png"} | size for i, n in enumerate("abc")]
    annotations = [result(image_id=i, id=10 + i) for i in (0, 2)]
    content = {"images": images, "annotations": annotations, "categories": []}
    counts = import_coco(dataset, "masks", results_file(content))
    assert counts == {"labels": 1, "unknown_images": 1}
    assert dataset.values("masks.detections.coco_id") == [None, [10]]


@pytest.mark.parametrize(
    ("names", "first", "expected"),
    [
        ("ab", 0, [[10], [11]]),  # as the samples have them
        ("ba", 0, [[11], [10]]),  # other ids for the same names: the names decide
        ("bx", 0, [None, [10]]),
        ("ab", 100, [[10], [11]]),
        ("xy", 0, [[10], [11]]),  # no name is known: the ids decide
    ],
)
def test_names_decide_where_a_file_numbers_the_images_otherwise(
    make_dataset, results_file, add_image, names, first, expected
):
    from fiftyone_promerge import import_coco

    dataset = make_dataset()
    for number, name in enumerate("ab"):
        add_image(dataset, f"{name}.png", coco_id=number)
    size = {"width": WIDTH, "height": HEIGHT}
    images = [{"id": i + first, "file_name": f"{n}.png"} | size for i, n in enumerate(names)]
    labels = [{"id": 10 + i, "image_id": i + first, "bbox": [0, 0, 5, 5]} for i in range(2)]
    import_coco(dataset, "boxes", results_file({"images": images, "annotations": labels}))
    assert dataset.values("boxes.detections.coco_id") == expected


def test_a_file_with_names_that_are_not_utf8_is_imported(make_dataset, tmp_path, add_image):
    from fiftyone_promerge import import_coco
    from promerge_core.runs.coco_json import write_json

    dataset = make_dataset()
    add_image(dataset, "a.png")
    size = {"width": WIDTH, "height": HEIGHT}
    names = ["latin\udce9.png", "a.png"]
    images = [{"id": i, "file_name": name} | size for i, name in enumerate(names)]
    annotations = [result(image_id=i, id=10 + i) for i in (0, 1)]
    write_json(tmp_path / "masks.json", {}, images, annotations)
    counts = import_coco(dataset, "masks", tmp_path / "masks.json")
    assert counts == {"labels": 1, "unknown_images": 1}
    assert dataset.values("masks.detections.coco_id") == [[11]]


def test_a_labels_own_class_is_its_category(image_7, results_file):
    from fiftyone_promerge import import_coco

    image = {"id": 7, "file_name": "image.png", "width": WIDTH, "height": HEIGHT}
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "object"}]
    annotations = [result(id=i + 1, category_id=i) for i in (1, 2, 3)]
    content = {"images": [image], "annotations": annotations, "categories": categories}
    import_coco(image_7, "masks", results_file(content))
    assert image_7.has_field("masks.detections.category")
    [labels] = image_7.values("masks.detections")
    assert [label.label for label in labels] == ["object"] * 3
    assert [label.get_attribute_value("category", None) for label in labels] == ["cat", None, None]


def test_a_file_without_images_is_imported_without_a_label(make_dataset, add_image, results_file):
    from fiftyone_promerge import import_coco

    dataset = make_dataset()
    add_image(dataset)
    content = {"images": [], "annotations": [result(id=1)]}
    counts = import_coco(dataset, "masks", results_file(content))
    assert counts == {"labels": 0, "unknown_images": 1}


def test_polygons_and_uncompressed_rle_are_read(image_7, results_file):
    from fiftyone_promerge import import_coco
    from fiftyone_promerge.coco.annotations import read_annotations

    polygon = result(segmentation=[[2, 2, 12, 2, 12, 9, 2, 9]])
    counts = [WIDTH * HEIGHT - 5, 5]
    runs = result(segmentation={"size": [HEIGHT, WIDTH], "counts": counts})
    thin = result(segmentation=[[2, 2, 2.1, 2, 2.1, 2.1]], bbox=[2, 2, 0.1, 0.1])
    import_coco(image_7, "masks", results_file([polygon, runs, thin]))
    [annotations] = read_annotations(image_7, "masks", with_masks=True)
    areas = [coco_mask.area(annotation["segmentation"]) for annotation in annotations]
    assert areas == [70, 5, 0]
    assert annotations[2]["bbox"] == [2, 2, 0.1, 0.1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"image_id": 7, "bb', "input.json is not valid JSON .*premature EOF$"),
        ("{}", "not a COCO file: it has no list 'images' or 'annotations'"),
        ("certainly not json", "not valid JSON"),
        ('[{"image_id": 7, "score": NaN, "bbox": [0, 0, 1, 1]}]', "not valid JSON .NaN is not"),
        ([result(score="high")], "image 7 has the score 'high', which is not a finite number"),
        ([result(bbox=[0, 0, -1, 5])], "negative width or height"),
        ([result(bbox=[0, 0, 5])], "not four finite numbers"),
        ([result(np.ones((3, 4)))], r"an RLE of size \[3, 4\], its image has \[23, 37\]"),
        ([result(segmentation={"size": [23, 37], "counts": [1, 2]})], "do not add up to its size"),
        ([{"image_id": 7, "score": 0.5}], "neither a segmentation nor a bbox"),
        ([{"score": 0.5}], "has no image_id"),
        ([result(id=3), result(id=3)], "id 3 is there more than once"),
        ([result(id="three")], "id 'three' is not an integer"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_and_leaves_nothing(
    image_7, results_file, content, message
):
    from fiftyone_promerge import import_coco
    from fiftyone_promerge.coco.annotations import CocoError

    with pytest.raises(CocoError, match=message) as error:
        import_coco(image_7, "masks", results_file(content))
    assert "\n" not in str(error.value)
    assert not image_7.has_field("masks")


def test_an_existing_field_is_not_written_over(image_7, results_file):
    from fiftyone_promerge import import_coco
    from fiftyone_promerge.coco.annotations import CocoError

    path = results_file([result()])
    import_coco(image_7, "masks", path)
    with pytest.raises(CocoError, match="'masks' exists already"):
        import_coco(image_7, "masks", path)
    assert image_7.count("masks.detections") == 1


def test_results_need_coco_ids_on_the_samples(make_dataset, results_file, add_image):
    from fiftyone_promerge import import_coco
    from fiftyone_promerge.coco.annotations import CocoError

    dataset = make_dataset()
    add_image(dataset)
    with pytest.raises(CocoError, match="names its images by COCO id"):
        import_coco(dataset, "masks", results_file([result()]))
