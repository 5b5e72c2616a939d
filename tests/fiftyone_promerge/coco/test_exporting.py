"""A field as a COCO file, with pycocotools as the reader."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from promerge_core.runs.sources import RunError

WIDTH, HEIGHT = 37, 23


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
        export_coco(photos_without_sizes, "found", out, overwrite=True)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob("*.draft"))


@pytest.mark.parametrize("kind", ["dataset", "results"])
@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("confidence", float("nan"), "score nan"),
        ("confidence", float("-inf"), "score -inf"),
        ("coco_bbox", [0.0, 1.0, float("inf"), 2.0], "bbox .0.0, 1.0, inf, 2.0."),
    ],
)
def test_a_number_that_json_lacks_is_refused(
    photos_without_sizes, tmp_path, kind, attribute, value, words
):
    from fiftyone_promerge import export_coco
    from promerge_core import PromergeError

    sample = photos_without_sizes.last()
    sample["found"].detections[0][attribute] = value
    sample.save()
    out = tmp_path / "out.json"
    with pytest.raises(PromergeError, match="JSON compliant") as error:
        export_coco(photos_without_sizes, "found", out, kind=kind)
    assert re.match(rf"A label of {sample.filepath} has the {words}, and NaN", str(error.value))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out.json*"))


def test_a_dataset_says_what_made_its_masks(dataset, small_model, tmp_path):
    from fiftyone_promerge import export_coco
    from promerge_core.runs.coco_file import CocoFile

    dataset.apply_model(small_model, label_field="masks", batch_size=3, num_workers=0)
    export_coco(dataset.limit(2), "masks", tmp_path / "out.json")
    info = CocoFile(tmp_path / "out.json").info()
    assert (info["dataset"], info["field"]) == (dataset.name, "masks")
    assert info["run"] == {
        "method": "promerge",
        "backbone": "embedded",
        "weights": None,
        "dtype": "auto",
        "device": "cpu",
        "parameters": small_model.generator.config.to_dict(),
        "batch_size": 3,
    }
    dataset.clone_sample_field("masks", "copy")
    export_coco(dataset, "copy", tmp_path / "out.json", overwrite=True)
    assert "run" not in CocoFile(tmp_path / "out.json").info()


def test_results_without_masks_keep_their_boxes(image_7, results_file, tmp_path):
    from fiftyone_promerge import export_coco, import_coco

    boxes = [[0.1, 0.2, 3.33, 4.44], [5, 6, 7, 8]]
    content = [{"image_id": 7, "category_id": 1, "score": 0.25, "bbox": box} for box in boxes]
    import_coco(image_7, "boxes", results_file(content))
    export_coco(image_7, "boxes", tmp_path / "out.json", kind="results")
    written = json.loads((tmp_path / "out.json").read_text())
    assert [r["bbox"] for r in written] == boxes
    assert [r["score"] for r in written] == [0.25, 0.25]


def test_a_file_of_someone_else_is_not_replaced(photos_without_sizes, tmp_path):
    from fiftyone_promerge import export_coco

    path = tmp_path / "mine.json"
    path.write_text('{"images": [], "annotations": []}')
    before = path.read_bytes()
    with pytest.raises(RunError, match="no run of fiftyone-promerge wrote it"):
        export_coco(photos_without_sizes, "found", path)
    assert path.read_bytes() == before
    assert export_coco(photos_without_sizes, "found", path, overwrite=True) == 2
    with pytest.raises(RunError, match="there is no folder"):
        export_coco(photos_without_sizes, "found", tmp_path / "no" / "such.json")


def test_an_earlier_export_of_the_same_masks_is_replaced(dataset, small_model, tmp_path):
    from fiftyone_promerge import export_coco

    path = tmp_path / "masks.json"
    for field in ("one", "two"):
        dataset.apply_model(small_model, label_field=field, num_workers=0)
    export_coco(dataset.limit(2), "one", path)
    assert export_coco(dataset, "one", path) == dataset.count("one.detections")
    with pytest.raises(RunError, match="another run wrote it"):
        export_coco(dataset, "two", path)
    export_coco(dataset, "two", path, overwrite=True)
