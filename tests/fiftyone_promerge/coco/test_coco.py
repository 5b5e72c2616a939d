"""COCO files in and out of a field, with pycocotools as the reader."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

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


def add_image(dataset, name="image.png", **fields):
    import fiftyone as fo

    metadata = fo.ImageMetadata(width=WIDTH, height=HEIGHT)
    dataset.add_sample(fo.Sample(filepath=f"/images/{name}", metadata=metadata, **fields))


@pytest.fixture
def results_file(tmp_path):
    def write(content):
        path = tmp_path / "input.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def result(mask=None, **changes):
    mask = random_masks()[5] if mask is None else mask
    return {"image_id": 7, "category_id": 1, "score": 0.5, "segmentation": rle_of(mask)} | changes


@pytest.fixture
def image_7(make_dataset):
    dataset = make_dataset()
    add_image(dataset, coco_id=7)
    return dataset


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


def test_masks_laid_like_other_tools_do_are_drawn_alike(make_dataset):
    """A mask that is not of its box's size, and one on disk, take the slower way."""
    import fiftyone as fo

    from fiftyone_promerge.coco.annotations import read_annotations
    from fiftyone_promerge.labels import detection_to_mask

    dataset = make_dataset()
    mask = np.random.default_rng(0).random((9, 11)) < 0.5
    labels = [
        fo.Detection(bounding_box=[0.11, 0.2, 0.3, 0.4], mask=mask),
        fo.Detection(bounding_box=[0.5, 0.5, 1 / WIDTH, 1 / HEIGHT], mask=mask),
        fo.Detection(bounding_box=[3 / WIDTH, 2 / HEIGHT, 11 / WIDTH, 9 / HEIGHT], mask=mask),
    ]
    add_image(dataset, masks=fo.Detections(detections=labels))
    [annotations] = read_annotations(dataset, "masks", with_masks=True)
    for label, annotation in zip(labels, annotations, strict=True):
        drawn = detection_to_mask(label, WIDTH, HEIGHT)
        assert (coco_mask.decode(annotation["segmentation"]) == drawn).all()


def test_an_exported_dataset_is_read_by_pycocotools_as_it_was(shared_dir, make_dataset, tmp_path):
    """The ground truth, exported as dataset and as results, scores 1 against the original."""
    import fiftyone_promerge as fop
    from fiftyone_promerge import export_coco

    sample = shared_dir / "coco_sample"
    name = make_dataset().name + "-coco"
    dataset = fop.load_benchmark(
        "coco2017", sample / "val2017", sample / "instances_val2017.json", name
    )
    original = COCO(sample / "instances_val2017.json")
    export_coco(dataset, "ground_truth", tmp_path / "dataset.json")
    exported = COCO(tmp_path / "dataset.json")
    assert exported.getImgIds() == original.getImgIds()
    for image_id in original.getImgIds():
        before = original.loadAnns(original.getAnnIds(image_id))
        after = exported.loadAnns(exported.getAnnIds(image_id))
        for old, new in zip(before, after, strict=True):
            assert (original.annToMask(old) == exported.annToMask(new)).all()
            for key in ("area", "iscrowd", "bbox"):
                assert new[key] == old[key]
        assert exported.imgs[image_id]["file_name"] == original.imgs[image_id]["file_name"]

    results = [a | {"score": 1.0} for a in exported.dataset["annotations"] if not a["iscrowd"]]
    for annotation in results:
        del annotation["bbox"]
    evaluator = COCOeval(exported, exported.loadRes(results), "segm")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    assert evaluator.stats[8] == pytest.approx(1)
    dataset.delete()


@pytest.fixture
def photos_without_sizes(make_dataset, tmp_path):
    """Three real image files, of which FiftyOne knows no size; the second has no labels."""
    import fiftyone as fo

    dataset = make_dataset()
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
        found = [] if number == 1 else [fo.Detection(bounding_box=[0, 0, 0.5, 0.5], confidence=1)]
        dataset.add_sample(fo.Sample(filepath=str(path), found=fo.Detections(detections=found)))
    return dataset


@pytest.mark.parametrize("kind", ["dataset", "results"])
def test_sizes_that_are_missing_are_computed(photos_without_sizes, tmp_path, kind):
    from fiftyone_promerge import export_coco

    assert export_coco(photos_without_sizes, "found", tmp_path / "out.json", kind=kind) == 2
    content = json.loads((tmp_path / "out.json").read_text())
    if kind == "dataset":
        assert {(image["width"], image["height"]) for image in content["images"]} == {
            (WIDTH, HEIGHT)
        }
        assert [image["id"] for image in content["images"]] == [1, 2, 3]
        assert content["info"]["field"] == "found"
        content = content["annotations"]
    assert [annotation["image_id"] for annotation in content] == [1, 3]


def test_an_image_without_labels_that_cannot_be_read_is_left_out(
    photos_without_sizes, tmp_path, caplog
):
    from fiftyone_promerge import export_coco

    (tmp_path / "1.png").write_text("These are words.")
    export_coco(photos_without_sizes, "found", tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert [image["id"] for image in content["images"]] == [1, 3]
    assert "1 images without labels cannot be read" in caplog.text


def test_an_export_that_fails_leaves_an_old_file_as_it_was(photos_without_sizes, tmp_path):
    from fiftyone_promerge import export_coco

    (tmp_path / "2.png").write_text("These are words.")
    out = tmp_path / "out.json"
    out.write_text("old")
    with pytest.raises(ValueError, match=r"The size of .*2\.png is unknown"):
        export_coco(photos_without_sizes, "found", out)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob("*.draft"))


def test_a_number_that_json_lacks_is_refused(photos_without_sizes, tmp_path):
    from fiftyone_promerge import export_coco

    sample = photos_without_sizes.first()
    sample["found"].detections[0].confidence = float("nan")
    sample.save()
    with pytest.raises(ValueError, match="JSON compliant"):
        export_coco(photos_without_sizes, "found", tmp_path / "out.json")
    assert not list(tmp_path.glob("out.json*"))


def test_results_without_masks_keep_their_boxes(image_7, results_file, tmp_path):
    from fiftyone_promerge import export_coco, import_coco

    boxes = [[0.1, 0.2, 3.33, 4.44], [5, 6, 7, 8]]
    content = [{"image_id": 7, "category_id": 1, "score": 0.25, "bbox": box} for box in boxes]
    import_coco(image_7, "boxes", results_file(content))
    export_coco(image_7, "boxes", tmp_path / "out.json", kind="results")
    written = json.loads((tmp_path / "out.json").read_text())
    assert [r["bbox"] for r in written] == boxes
    assert [r["score"] for r in written] == [0.25, 0.25]


def test_a_dataset_file_finds_images_by_name(make_dataset, results_file):
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


def test_a_file_with_names_that_are_not_utf8_is_imported(make_dataset, tmp_path):
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


def test_results_need_coco_ids_on_the_samples(make_dataset, results_file):
    from fiftyone_promerge import import_coco
    from fiftyone_promerge.coco.annotations import CocoError

    dataset = make_dataset()
    add_image(dataset)
    with pytest.raises(CocoError, match="names its images by COCO id"):
        import_coco(dataset, "masks", results_file([result()]))
