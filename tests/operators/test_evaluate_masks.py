"""`evaluate_masks` as the App asks for it."""

from __future__ import annotations


def test_evaluation_shows_twelve_numbers(app, photos):
    app.run("generate_masks", photos, {**app.QUICK, "label_field": "truth"})
    photos.clone_sample_field("truth", "found")
    params = {"pred_field": "found", "gt_field": "truth", "eval_key": "same"}
    invoked, result = app.run("evaluate_masks", photos, params)
    assert [row["metric"] for row in result["metrics"]][:3] == ["AP", "AP50", "AP75"]
    assert len(result["metrics"]) == 12
    assert result["metrics"][0]["found"] == "100.0"
    assert photos.list_evaluations() == ["same"]
    assert "open_panel" in [name.rpartition("/")[2] for name, _ in invoked]
    assert "metrics" in app.shown(invoked)
    assert result["classes"] == []


def test_evaluation_class_by_class_has_a_table_of_classes(app, photos):
    app.run("generate_masks", photos, {**app.QUICK, "label_field": "truth"})
    photos.clone_sample_field("truth", "found")
    params = {"pred_field": "found", "gt_field": "truth", "classes": "label"}
    invoked, result = app.run("evaluate_masks", photos, params)
    assert [(row["class"], row["AP"]) for row in result["classes"]] == [("object", "100.0")]
    assert photos.list_evaluations() == ["eval_found_segm_classes"]
    assert "classes" in app.shown(invoked)


def test_evaluation_form_says_what_is_wrong(app, photos):
    app.run("generate_masks", photos, app.QUICK)
    form = app.form("evaluate_masks", photos, {"pred_field": "promerge", "gt_field": "promerge"})
    assert "cannot be judged by itself" in app.wrong(form)["gt_field"]
    form = app.form("evaluate_masks", photos, {"pred_field": "promerge", "gt_field": "note"})
    assert "holds Classification, not Detections" in app.wrong(form)["gt_field"]
    form = app.form("evaluate_masks", photos, {"pred_field": "promerge", "eval_key": "a b"})
    assert "no name" in app.wrong(form)["eval_key"]
