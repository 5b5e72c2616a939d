"""What the operators that write masks have in common: the field, the samples, the outcome."""

from __future__ import annotations

from PIL import Image


def test_selected_samples_alone_are_done_and_offered_but_not_shown(app, photos):
    chosen = photos.limit(2).values("id")
    invoked, result = app.run(
        "generate_masks", photos, {**app.QUICK, "view_target": "SELECTED_SAMPLES"}, selected=chosen
    )
    assert result["images"] == 2
    assert photos.exists("promerge").values("id") == chosen
    assert "set_view" not in [name.rpartition("/")[2] for name, _ in invoked]
    button = app.shown(invoked)["show"]["view"]
    assert (button["label"], button["operator"]) == ("Show these images", "set_view")
    (stage,) = button["params"]["view"]
    assert stage["kwargs"][0] == ["sample_ids", chosen]


def test_existing_field_asks_whether_to_overwrite(app, photos):
    assert "overwrite" not in app.form("generate_masks", photos, app.QUICK)
    app.run("generate_masks", photos, app.QUICK)
    assert "overwrite" in app.form("generate_masks", photos, app.QUICK)
    other = {**app.QUICK, "affinity_threshold": 0.5}
    message = app.wrong(app.form("generate_masks", photos, other))["label_field"]
    assert "were made with affinity_threshold 0.2, now it is 0.5" in message
    assert not app.wrong(app.form("generate_masks", photos, {**other, "overwrite": True}))
    _, result = app.run("generate_masks", photos, app.QUICK)
    assert (result["images"], result["left_alone"]) == (0, 4)
    _, result = app.run("generate_masks", photos, {**app.QUICK, "overwrite": True})
    assert (result["images"], result["left_alone"]) == (4, 0)


def test_labels_made_elsewhere_cannot_be_overwritten(app, photos):
    import fiftyone as fo

    photos.set_values("truth", [fo.Detections(detections=[fo.Detection(label="cat")])] * 4)
    for name, more in (("generate_masks", app.QUICK), ("apply_detector", {})):
        for overwrite in (False, True):
            form = app.form(name, photos, {**more, "label_field": "truth", "overwrite": overwrite})
            assert "another field, for example 'promerge'" in app.wrong(form)["label_field"]
            assert "overwrite" not in form
    app.run("generate_masks", photos, app.QUICK)
    sample = photos.first()
    sample["promerge"] = fo.Detections(detections=[fo.Detection(label="cat")])
    sample.save()
    assert not app.wrong(app.form("generate_masks", photos, app.QUICK))
    form = app.form("generate_masks", photos, {**app.QUICK, "overwrite": True})
    assert "for example 'promerge_2'" in app.wrong(form)["label_field"]


def test_the_outcome_says_which_images_were_skipped_and_which_have_no_masks(app, photos, tmp_path):
    import fiftyone as fo

    plain, broken = tmp_path / "plain.png", tmp_path / "broken.png"
    Image.new("RGB", (64, 48)).save(plain)
    broken.write_text("no image")
    photos.add_samples([fo.Sample(filepath=str(path)) for path in (plain, broken)])
    invoked, result = app.run("generate_masks", photos, app.QUICK)
    assert (result["images"], result["skipped_count"]) == (5, 1)
    assert result["skipped"][0]["path"] == str(broken)
    assert sum(int(row["images"]) for row in result["without"]) >= 1
    shown = app.shown(invoked)
    assert {"summary", "without", "skipped"} <= set(shown)
    assert result["skipped"] == [{"images": "1", "reason": "not an image", "path": str(broken)}]
    assert "1 image could not be read" in shown["summary"]["default"]
