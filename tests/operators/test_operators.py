"""The operators as the App asks for them: forms, live progress, results, and what goes wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time

import pytest
from pycocotools.coco import COCO

QUICK = {"backbone": "embedded", "image_size": 240, "batch_size": 1, "num_workers": 0}


def wrong(form):
    """The properties that a form marks, and what it says of them."""
    return {name: p["error_message"] for name, p in form.items() if p["invalid"]}


@pytest.mark.parametrize(
    ("params", "property_name", "said"),
    [
        ({"affinity_threshold": math.nan}, "affinity_threshold", "finite number"),
        ({"affinity_threshold": 3}, "affinity_threshold", "between -1.0 and 1.0"),
        ({"affinity_threshold": "high"}, "affinity_threshold", "finite number"),
        ({"seed_stride": 1.5, "advanced": True}, "seed_stride", "whole number"),
        ({"method": "maskcut", "n_masks": 0}, "n_masks", "between 1 and 100"),
        ({"label_field": "filepath"}, "label_field", "holds StringField"),
        ({"label_field": "note"}, "label_field", "holds Classification"),
        ({"label_field": "_id"}, "label_field", "no name for a field"),
        ({"label_field": "a field"}, "label_field", "no name for a field"),
        ({"label_field": "a.b"}, "label_field", "no name for a field"),
        ({"backbone": "resnet"}, "backbone", "unknown backbone 'resnet'"),
        ({"backbone": "timm:nothing"}, "backbone", "timm has no model"),
        ({"backbone": "dino_vitb8", "weights": "/no/such.pth"}, "weights", "no weights file"),
        ({"backbone": "dino_vitb8", "weights": "/"}, "weights", "no weights file"),
        ({"weights": "/etc/hostname"}, "weights", "takes no weights file"),
        ({"masks_dir": "masks"}, "masks_dir", "no absolute path"),
        ({"masks_dir": "/etc/hostname/masks"}, "masks_dir", "is a file"),
        ({"batch_size": 0}, "batch_size", "between 1 and 4096"),
        ({"num_workers": -1}, "num_workers", "between 0 and 256"),
    ],
)
def test_form_says_what_is_wrong_and_nothing_runs(app, photos, params, property_name, said):
    params = {**QUICK, **params}
    messages = wrong(app.form("generate_masks", photos, params))
    assert said in messages[property_name]
    with pytest.raises(Exception, match="Validation error"):
        app.stream("generate_masks", photos, params)
    assert set(photos.get_field_schema()) >= {"note"}
    assert not photos.list_runs()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_form_says_that_a_file_may_not_be_read(app, photos, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.touch(mode=0o000)
    form = app.form("generate_masks", photos, {"weights": str(weights)})
    assert "may not be read" in wrong(form)["weights"]


def test_form_is_right_as_it_opens(app, photos):
    form = app.form("generate_masks", photos)
    assert not wrong(form)
    assert form["method"]["default"] == "promerge"
    assert form["backbone"]["default"] == "dino_vitb8"
    assert form["affinity_threshold"]["default"] == 0.2
    assert "seed_stride" not in form
    assert "seed_stride" in app.form("generate_masks", photos, {"advanced": True})
    assert "tau" in app.form("generate_masks", photos, {"method": "maskcut"})


def test_masks_are_made_with_live_progress_and_shown(app, photos):
    invoked, result = app.run("generate_masks", photos, QUICK, active_fields=["note"])
    assert result["images"] == 4
    assert result["masks"] == photos.count("promerge.detections") > 0
    names = [name.rpartition("/")[2] for name, _ in invoked]
    assert names.count("set_progress") >= 2
    shares = [params["progress"] for name, params in invoked if name.endswith("set_progress")]
    assert shares == sorted(shares) and shares[-1] <= 1
    assert ("reload_dataset" in names) and ("set_active_fields" in names)
    active = next(p for n, p in invoked if n.endswith("set_active_fields"))
    assert active["fields"] == ["note", "promerge"]
    said = app.shown(invoked)["summary"]["default"]
    assert f"**{result['masks']} masks** on 4 images" in said


def test_parameters_of_the_form_reach_the_run(app, photos):
    params = {**QUICK, "method": "maskcut", "n_masks": 1, "label_field": "cut"}
    app.run("generate_masks", photos, params)
    record = photos.get_run_info("cut").config
    assert record.method == "maskcut"
    assert record.parameters["n_masks"] == 1
    assert max(len(d) for d in photos.values("cut.detections")) == 1


def test_selected_samples_alone_are_done_and_then_shown(app, photos):
    chosen = photos.limit(2).values("id")
    invoked, result = app.run(
        "generate_masks", photos, {**QUICK, "view_target": "SELECTED_SAMPLES"}, selected=chosen
    )
    assert result["images"] == 2
    assert photos.exists("promerge").values("id") == chosen
    assert "set_view" in [name.rpartition("/")[2] for name, _ in invoked]


def test_existing_field_asks_whether_to_overwrite(app, photos):
    assert "overwrite" not in app.form("generate_masks", photos, QUICK)
    app.run("generate_masks", photos, QUICK)
    assert "overwrite" in app.form("generate_masks", photos, QUICK)
    other = {**QUICK, "affinity_threshold": 0.5}
    message = wrong(app.form("generate_masks", photos, other))["label_field"]
    assert "were made with affinity_threshold 0.2, now it is 0.5" in message
    assert not wrong(app.form("generate_masks", photos, {**other, "overwrite": True}))
    _, result = app.run("generate_masks", photos, QUICK)
    assert (result["images"], result["left_alone"]) == (0, 4)
    _, result = app.run("generate_masks", photos, {**QUICK, "overwrite": True})
    assert (result["images"], result["left_alone"]) == (4, 0)


def test_a_stopped_run_keeps_what_it_did_and_goes_on(app, photos, gate):
    stream = app.stream("generate_masks", photos, QUICK)
    next(stream)
    names = app.form("stop_run", photos)["name"]["type"]["values"]
    assert names == [f"promerge of {photos.name}"]
    app.stream("stop_run", photos, {"name": names[0]})
    gate.set()
    invoked, result = app.read(stream)
    assert "was stopped; what was done is kept" in result["error"]
    error = app.shown(invoked)["error"]
    assert error["view"]["description"] == result["error"]
    assert len(photos.exists("promerge")) == 1
    _, result = app.run("generate_masks", photos, QUICK)
    assert result["images"] == 3
    assert len(photos.exists("promerge")) == 4


def test_a_closed_page_stops_its_run(app, photos, gate):
    stream = app.stream("generate_masks", photos, QUICK)
    next(stream)
    stream.leave()
    gate.set()
    while "name" in app.form("stop_run", photos):
        time.sleep(0.05)
    assert len(photos.exists("promerge")) == 1
    _, result = app.run("generate_masks", photos, QUICK)
    assert result["images"] == 3


def test_two_runs_into_one_field_are_refused(app, photos, gate):
    first = app.stream("generate_masks", photos, QUICK)
    next(first)
    _, refused = app.run("generate_masks", photos, QUICK)
    assert f"promerge of {photos.name} is under way already" in refused["error"]
    gate.set()
    _, result = app.read(first)
    assert result["images"] == 4


def test_two_runs_into_two_fields_do_not_disturb_each_other(app, photos):
    other = {**QUICK, "method": "maskcut", "n_masks": 1, "label_field": "cut"}
    first = app.stream("generate_masks", photos, QUICK)
    second = app.stream("generate_masks", photos, other)
    next(first), next(second)
    results = [app.read(stream)[1] for stream in (first, second)]
    assert [result["images"] for result in results] == [4, 4]
    alone = photos.clone()
    try:
        alone.delete_sample_fields(["promerge", "cut"])
        alone.delete_runs()
        app.run("generate_masks", alone, QUICK)
        app.run("generate_masks", alone, other)
        for field in ("promerge", "cut"):
            path = f"{field}.detections.bounding_box"
            assert photos.values(path) == alone.values(path)
    finally:
        alone.delete()
    assert photos.values("note.label") == ["astronaut", "chelsea", "coffee", "rocket"]


def test_a_sample_deleted_during_a_run_hurts_no_other(app, photos, gate):
    stream = app.stream("generate_masks", photos, QUICK)
    next(stream)
    gone = photos.last().id
    photos.delete_samples(gone)
    gate.set()
    _, result = app.read(stream)
    assert gone not in photos.values("id")
    assert len(photos) == 3
    assert photos.values("note.label") == ["astronaut", "chelsea", "coffee"]
    if "error" in result:
        _, result = app.run("generate_masks", photos, QUICK)
    assert len(photos.exists("promerge")) == 3


def test_weights_that_do_not_fit_are_one_sentence(app, photos, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_text("no weights")
    params = {**QUICK, "backbone": "dino_vits16", "weights": str(weights)}
    _, result = app.run("generate_masks", photos, params)
    assert f"{weights} is not a plain state dict" in result["error"]
    assert "Traceback" not in result["error"]
    assert not photos.has_field("promerge")


def test_evaluation_shows_twelve_numbers(app, photos):
    app.run("generate_masks", photos, {**QUICK, "label_field": "truth"})
    photos.clone_sample_field("truth", "found")
    params = {"pred_field": "found", "gt_field": "truth", "eval_key": "same"}
    invoked, result = app.run("evaluate_masks", photos, params)
    assert [row["metric"] for row in result["metrics"]][:3] == ["AP", "AP50", "AP75"]
    assert len(result["metrics"]) == 12
    assert result["metrics"][0]["found"] == "100.0"
    assert photos.list_evaluations() == ["same"]
    assert "open_panel" in [name.rpartition("/")[2] for name, _ in invoked]
    assert "metrics" in app.shown(invoked)


def test_evaluation_form_says_what_is_wrong(app, photos):
    app.run("generate_masks", photos, QUICK)
    form = app.form("evaluate_masks", photos, {"pred_field": "promerge", "gt_field": "promerge"})
    assert "cannot be judged by itself" in wrong(form)["gt_field"]
    form = app.form("evaluate_masks", photos, {"pred_field": "promerge", "gt_field": "note"})
    assert "holds Classification, not Detections" in wrong(form)["gt_field"]
    form = app.form("evaluate_masks", photos, {"pred_field": "promerge", "eval_key": "a b"})
    assert "no name" in wrong(form)["eval_key"]


def test_export_is_a_coco_file(app, photos, tmp_path):
    app.run("generate_masks", photos, QUICK)
    path = tmp_path / "new" / "masks.json"
    params = {"label_field": "promerge", "path": str(path)}
    invoked, result = app.run("export_coco", photos, params)
    assert len(COCO(str(path)).anns) == photos.count("promerge.detections")
    assert result["annotations"] == photos.count("promerge.detections")
    assert str(path) in app.shown(invoked)["summary"]["default"]


@pytest.mark.parametrize("path", ["masks.json", "/etc/hostname/masks.json"])
def test_export_form_refuses_a_wrong_path(app, photos, path):
    photos.clone_sample_field("note", "other")
    assert wrong(app.form("export_coco", photos, {"path": path}))["path"]


def test_benchmark_is_loaded_and_opened(app, photos, photo_files, tmp_path):
    import fiftyone as fo

    annotations = tmp_path / "annotations.json"
    images = [
        {"id": i, "file_name": path.name, "width": 160, "height": 120}
        for i, path in enumerate(photo_files, start=1)
    ]
    box = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 200}
    box |= {"bbox": [5, 5, 20, 10], "segmentation": [[5, 5, 25, 5, 25, 15, 5, 15]]}
    content = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "cat"}]}
    annotations.write_text(json.dumps(content))
    params = {
        "name": "coco2017",
        "images_dir": str(photo_files[0].parent),
        "annotations": str(annotations),
        "dataset_name": "benchmark-of-a-test",
    }
    try:
        invoked, result = app.run("load_benchmark", photos, params)
        assert (result["images"], result["objects"], result["missing"]) == (4, 1, 0)
        assert "open_dataset" in [name.rpartition("/")[2] for name, _ in invoked]
        _, again = app.run("load_benchmark", photos, params)
        assert "exists already" in again["error"]
    finally:
        fo.delete_dataset("benchmark-of-a-test")
    missing = {"name": "coco2017", "images_dir": "/no/such/folder"}
    assert (
        "there is no /no/such/folder"
        in wrong(app.form("load_benchmark", photos, missing))["images_dir"]
    )


@pytest.fixture
def tiny_recipe(monkeypatch):
    """The recipe `smoke`, in six steps of two small images."""
    from fiftyone_promerge.training.recipes import RECIPES, SMOKE

    schedule = dataclasses.replace(SMOKE.rounds[0], iterations=6, milestones=(4,))
    tiny = dataclasses.replace(
        SMOKE,
        rounds=(schedule,),
        num_images=4,
        batch_size=2,
        images_per_device=2,
        min_samples=12,
        warmup_iterations=1,
        short_sides=(64,),
        test_short_side=64,
        rpn_pre_nms=(50, 50),
        rpn_test_proposals=20,
        proposals_per_image=8,
        validations=1,
        checkpoints=6,
    )
    monkeypatch.setitem(RECIPES, "smoke", tiny)


def test_a_training_can_be_stopped_resumed_and_applied(app, photos, tiny_recipe, tmp_path):
    app.run("generate_masks", photos, QUICK)
    params = {"recipe": "smoke", "weights": "random", "num_workers": 0, "label_field": "promerge"}
    params["output_dir"] = str(tmp_path / "run")
    stream = app.stream("train_detector", photos, params)
    for message in stream:
        if message.body.params.get("label", "").startswith("Iteration"):
            break
    name = app.form("stop_run", photos)["name"]["type"]["values"][0]
    app.stream("stop_run", photos, {"name": name})
    _, result = app.read(stream)
    assert "was stopped; what was done is kept" in result["error"]
    invoked, result = app.run("train_detector", photos, params)
    labels = [p["label"] for n, p in invoked if n.endswith("set_progress")]
    first = next(label for label in labels if label.startswith("Iteration"))
    assert not first.startswith("Iteration 1 "), "it began anew"
    assert "loss" in result["metrics"]
    checkpoint = result["checkpoint"]
    assert checkpoint in app.shown(invoked)["summary"]["default"]
    form = app.form("apply_detector", photos)
    assert [c["value"] for c in form["checkpoint"]["view"]["choices"]] == [checkpoint]
    _, result = app.run("apply_detector", photos, {"checkpoint": checkpoint, "num_workers": 0})
    assert result["images"] == 4
    assert photos.get_run_info("promerge_plus").config.method == "detector"


@pytest.mark.parametrize(
    ("operator", "params", "property_name", "said"),
    [
        ("train_detector", {"label_field": "note"}, "label_field", "not Detections"),
        ("train_detector", {"label_field": "nothing"}, "label_field", "no field 'nothing'"),
        ("train_detector", {"output_dir": "run"}, "output_dir", "no absolute path"),
        ("train_detector", {"weights": "/no/such.pth"}, "weights", "there is no /no/such.pth"),
        ("train_detector", {"devices": 0}, "devices", "between 1 and 1024"),
        ("apply_detector", {"checkpoint": "/no/such.pt"}, "checkpoint", "there is no"),
        ("apply_detector", {"label_field": "note"}, "label_field", "holds Classification"),
    ],
)
def test_forms_of_detectors_say_what_is_wrong(app, photos, operator, params, property_name, said):
    assert said in wrong(app.form(operator, photos, params))[property_name]


def test_a_training_needs_masks(app, photos):
    import fiftyone as fo

    photos.set_values("empty", [fo.Detections()] * 4)
    message = wrong(app.form("train_detector", photos, {"label_field": "empty"}))["label_field"]
    assert "no image has a mask in 'empty'" in message


def test_a_file_that_is_no_checkpoint_is_one_sentence(app, photos, tmp_path):
    path = tmp_path / "detector.pt"
    path.write_text("nothing")
    _, result = app.run("apply_detector", photos, {"checkpoint": str(path)})
    assert "detector.pt" in result["error"]
    assert "Traceback" not in result["error"]
    assert not photos.has_field("promerge_plus")
