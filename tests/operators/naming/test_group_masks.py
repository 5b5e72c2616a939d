import pytest


@pytest.fixture
def made(photos):
    import fiftyone_promerge as fop

    model = fop.load_model("embedded", image_size=240)
    fop.generate_masks(photos, model, "promerge", num_workers=0)
    return photos


def test_masks_get_vectors_groups_and_brain_keys_and_the_panel_opens(app, made):
    form = app.form("group_masks", made)
    assert form["label_field"]["default"] == "promerge"
    assert form["backbone"]["default"] == "embedded"
    assert "groups" not in form and not app.wrong(form)
    asked = {"label_field": "promerge", "method": "kmeans", "groups": 2}
    invocations, result = app.run("group_masks", made, asked)
    assert "error" not in result, result
    assert len(result["groups"]) == 2
    assert "open_panel" in str(invocations)
    made.reload()
    assert made.count("promerge.detections.group") == made.count("promerge.detections")
    assert sorted(made.list_brain_runs()) == ["promerge_map", "promerge_similarity"]


def test_what_cannot_be_grouped_is_marked_or_said(app, made):
    assert "label_field" in app.wrong(app.form("group_masks", made, {"label_field": "nothing"}))
    asked = {"label_field": "promerge", "method": "kmeans", "groups": 0}
    assert "groups" in app.wrong(app.form("group_masks", made, asked))
    _, result = app.run("group_masks", made, {**asked, "groups": 9999})
    assert "between 1 and the number of masks" in result["error"]
