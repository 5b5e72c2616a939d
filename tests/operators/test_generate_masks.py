"""`generate_masks` as the App asks for it: its form, its runs and what they show."""

from __future__ import annotations

import math
import os
import re

import pytest

from promerge_core import ProMergeConfig


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
    params = {**app.QUICK, **params}
    messages = app.wrong(app.form("generate_masks", photos, params))
    assert said in messages[property_name]
    with pytest.raises(Exception, match="Validation error"):
        app.stream("generate_masks", photos, params)
    assert set(photos.get_field_schema()) >= {"note"}
    assert not photos.list_runs()


def test_a_preset_takes_the_place_of_the_parameters(app, photos):
    form = app.form("generate_masks", photos, {**app.QUICK, "preset": "microscopy"})
    assert not app.wrong(form)
    assert "affinity_threshold" not in form
    params = {"backbone": "embedded", "preset": "microscopy", "label_field": "cells"}
    app.run("generate_masks", photos, params)
    parameters = photos.get_run_info("cells").config.parameters
    assert parameters == ProMergeConfig.from_preset("microscopy").to_dict()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_form_says_that_a_file_may_not_be_read(app, photos, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.touch(mode=0o000)
    form = app.form("generate_masks", photos, {"weights": str(weights)})
    assert "may not be read" in app.wrong(form)["weights"]


def test_form_is_right_as_it_opens(app, photos):
    form = app.form("generate_masks", photos)
    assert not app.wrong(form)
    assert form["method"]["default"] == "promerge"
    assert form["backbone"]["default"] == "dino_vitb8"
    assert form["affinity_threshold"]["default"] == 0.2
    assert form["seed_stride"]["default"] == 4
    closed = [name for name, one in form.items() if one["view"].get("collapsible")]
    assert closed == ["thresholds", "refinement", "machine"]
    assert not any(form[name]["view"]["default_expanded"] for name in closed)
    assert list(form)[:6] == [
        "will_do",
        "view_target",
        "label_field",
        "method",
        "backbone",
        "weights",
    ]
    assert "tau" in app.form("generate_masks", photos, {"method": "maskcut"})


def test_masks_are_made_with_live_progress_and_shown(app, photos):
    invoked, result = app.run("generate_masks", photos, app.QUICK, active_fields=["note"])
    assert result["images"] == 4
    assert result["masks"] == photos.count("promerge.detections") > 0
    names = [name.rpartition("/")[2] for name, _ in invoked]
    progress = app.progress(invoked)
    assert (None, "Loading the backbone embedded") in progress
    shares = [share for share, _ in progress if share is not None]
    assert shares == sorted(shares) and shares[-1] <= 1
    assert any(re.match(r"Segmenting: [0-4] of 4", line) for _, line in progress)
    assert ("reload_dataset" in names) and ("set_active_fields" in names)
    active = next(p for n, p in invoked if n.endswith("set_active_fields"))
    assert active["fields"] == ["note", "promerge"]
    said = app.shown(invoked)["summary"]["default"]
    assert f"**{result['masks']} masks** on 4 images" in said


def test_parameters_of_the_form_reach_the_run(app, photos):
    params = {**app.QUICK, "method": "maskcut", "n_masks": 1, "label_field": "cut"}
    app.run("generate_masks", photos, params)
    record = photos.get_run_info("cut").config
    assert record.method == "maskcut"
    assert record.parameters["n_masks"] == 1
    assert max(len(d) for d in photos.values("cut.detections")) == 1
