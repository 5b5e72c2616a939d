"""`promerge benchmark-data`, `export`, `import` and `evaluate`."""

from __future__ import annotations

import json

import pytest
from PIL import Image


def test_commands_load_export_import_and_compare(promerge, database, shared_dir, tmp_path):
    import fiftyone as fo

    def said(*arguments):
        result = promerge(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    sample = shared_dir / "coco_sample"
    files = ["--images-dir", sample / "val2017", "--annotations", sample / "instances_val2017.json"]
    output = said("benchmark-data", "coco2017", *files)
    assert "80 images" in output
    dataset = fo.load_dataset("coco2017")
    assert dataset.persistent
    scores = [[0.5] * len(ids) for ids in dataset.values("ground_truth.detections.id")]
    dataset.set_values("ground_truth.detections.confidence", scores)

    exported = tmp_path / "results.json"
    said("export", "coco2017", "ground_truth", exported, "--kind", "results")
    said("import", "coco2017", "first", exported)
    said("import", "coco2017", "second", exported)
    table, picture = tmp_path / "table.json", tmp_path / "table.png"
    fields = ["--fields", "first", "second", "--json", table, "--picture", picture]
    output = said("evaluate", "coco2017", *fields)

    content = json.loads(table.read_text())
    names = [row["name"] for row in content["rows"]]
    assert names == ["first", "second", "MaskCut", "ProMerge", "CutLER", "ProMerge+"]
    assert all(name in output for name in names)
    assert content["rows"][0]["AR100"] == pytest.approx(100)
    assert content["rows"][3]["AP"] == 2.4
    assert Image.open(picture).size[0] > 800
    assert dataset.list_evaluations() == ["eval_first_segm", "eval_second_segm"]
    dataset.delete()


def test_classes_are_a_table_of_their_own(promerge, photos, dataset_name, tmp_path):
    import fiftyone as fo

    dataset = fo.Dataset.from_images_dir(str(photos), name=dataset_name)
    dataset.persistent = True
    for sample in dataset:
        for field, second in (("ground_truth", "mug"), ("found", "cup")):
            sample[field] = fo.Detections(
                detections=[
                    fo.Detection(label=name, bounding_box=box, confidence=0.5)
                    for name, box in (("cat", [0, 0, 0.4, 0.4]), (second, [0.5, 0.5, 0.4, 0.4]))
                ]
            )
        sample.save()
    table = tmp_path / "table.json"
    options = ["--iou-type", "bbox", "--classes", "label", "--json", table]
    result = promerge("evaluate", dataset_name, "found", *options)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(table.read_text())["rows"]
    assert row["AP"] == pytest.approx(50)
    found = {name: numbers["AP"] for name, numbers in row["classes"].items()}
    assert found == {"cat": pytest.approx(100), "cup": -1, "mug": 0}
    assert "mug" in result.output
    assert dataset.list_evaluations() == ["eval_found_bbox_classes"]


def test_a_command_on_no_dataset_says_which_there_are(promerge, database):
    result = promerge("evaluate", "nothing", "--fields", "a")
    assert result.exit_code == 1
    assert "there is no FiftyOne dataset 'nothing'" in promerge.message(result)


def test_a_file_of_results_is_checked_before_the_work(promerge, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    gone = tmp_path / "no" / "such"
    evaluate = ["evaluate", "no-such-dataset", "--fields", "a"]
    for command, said in [
        ([*evaluate, "--json", mine], "exists already"),
        ([*evaluate, "--picture", mine], "exists already"),
        ([*evaluate, "--json", gone], "there is no folder"),
        ([*evaluate, "--picture", gone], "there is no folder"),
        (["benchmark", "--json", mine], "exists already"),
        (["benchmark", "--json", gone], "there is no folder"),
        (["demo", "--picture", mine], "exists already"),
    ]:
        result = promerge(*command)
        assert result.exit_code == 1
        assert said in promerge.message(result)
    assert mine.read_text() == "mine"


def test_the_ground_truth_is_chosen_and_images_that_were_not_done_are_said(
    promerge, photos, dataset_name
):
    import fiftyone as fo

    dataset = fo.Dataset.from_images_dir(str(photos), name=dataset_name)
    dataset.persistent = True
    box = {"label": "object", "bounding_box": [0.1, 0.1, 0.5, 0.5], "confidence": 0.5}
    for number, sample in enumerate(dataset):
        sample["boxes"] = fo.Detections(detections=[fo.Detection(**box)])
        if number < 2:
            sample["found"] = fo.Detections(detections=[fo.Detection(**box)])
        sample.save()
    evaluate = ["evaluate", dataset_name, "found", "--iou-type", "bbox"]
    said = promerge.message(promerge(*evaluate))
    assert "Ground truth: the field boxes" in said
    assert "found was made for 2 of 5 images; the objects of the other 3 count as missed" in said
    assert fo.load_dataset(dataset_name).load_evaluation_results("eval_found_bbox").metrics()[
        "AR100"
    ] == pytest.approx(0.4)
    said = promerge.message(promerge(*evaluate, "--labelled-only"))
    assert "found is judged on the images that it has labels of" in said and "100.0" in said
    assert "—" in said
    result = promerge("evaluate", dataset_name)
    assert result.exit_code == 2 and "name a field to judge" in promerge.message(result)
