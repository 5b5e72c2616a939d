"""`train_detector` as the App asks for it."""

from __future__ import annotations

import dataclasses

import pytest


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
        architecture="mask_rcnn_small",
    )
    monkeypatch.setitem(RECIPES, "smoke", tiny)


def test_a_training_can_be_stopped_resumed_and_applied(app, photos, tiny_recipe, tmp_path):
    app.run("generate_masks", photos, app.QUICK)
    params = {"recipe": "smoke", "weights": "random", "num_workers": 0, "label_field": "promerge"}
    params["output_dir"] = str(tmp_path / "run")
    stream = app.stream("train_detector", photos, params)
    for message in stream:
        if app.label(message.body.params).startswith("Iteration"):
            break
    name = app.form("stop_run", photos)["name"]["type"]["values"][0]
    app.stream("stop_run", photos, {"name": name})
    _, result = app.read(stream)
    assert "was stopped; what was done is kept" in result["error"]
    invoked, result = app.run("train_detector", photos, params)
    labels = [line for _, line in app.progress(invoked)]
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
    ("params", "property_name", "said"),
    [
        ({"label_field": "note"}, "label_field", "not Detections"),
        ({"label_field": "nothing"}, "label_field", "no field 'nothing'"),
        ({"output_dir": "run"}, "output_dir", "no absolute path"),
        ({"weights": "/no/such.pth"}, "weights", "there is no /no/such.pth"),
        ({"devices": 0}, "devices", "between 1 and 1024"),
        ({"batch_size": 0, "advanced": True}, "batch_size", "at least 1"),
        ({"rounds": 1.5, "advanced": True}, "rounds", "whole number"),
        ({"architecture": "cascade_mask_rcnn"}, "architecture", "torchvision has no architecture"),
        ({"recipe": "none"}, "recipe", "no recipe 'none'; there are promerge_plus"),
        ({"recipe": "/no/such.yaml"}, "recipe", "no recipe file at /no/such.yaml"),
    ],
)
def test_form_says_what_is_wrong(app, photos, params, property_name, said):
    assert said in app.wrong(app.form("train_detector", photos, params))[property_name]


def test_a_training_needs_masks(app, photos):
    import fiftyone as fo

    photos.set_values("empty", [fo.Detections()] * 4)
    message = app.wrong(app.form("train_detector", photos, {"label_field": "empty"}))["label_field"]
    assert "no image has a mask in 'empty'" in message


def test_initial_weights_are_a_choice_that_follows_the_recipe_and_architecture(app, photos):
    def choices(**params):
        form = app.form("train_detector", photos, params)
        return form["initial_weights"]["default"], [
            choice["value"] for choice in form["initial_weights"]["view"]["choices"]
        ]

    assert choices() == ("pretrained", ["pretrained", "random", "file"])
    assert choices(recipe="small") == ("random", ["random", "file"])
    timm = {"detector": {"architecture": "timm:resnet18"}}
    assert choices(recipe="small", **timm) == ("random", ["random", "pretrained", "file"])
    assert choices(weights="/a/file.pth")[0] == "file"


def test_options_that_exclude_each_other_are_said_while_typing(app, photos):
    params = {"minutes": 5, "detector": {"iterations": 10}}
    wrong = app.wrong(app.form("train_detector", photos, params))
    assert "iterations and minutes exclude each other" in wrong["recipe"]
