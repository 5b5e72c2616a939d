"""`export_coco` as the App asks for it."""

from __future__ import annotations

import pytest
from pycocotools.coco import COCO


def test_export_is_a_coco_file(app, photos, tmp_path):
    app.run("generate_masks", photos, app.QUICK)
    path = tmp_path / "new" / "masks.json"
    params = {"label_field": "promerge", "path": str(path)}
    invoked, result = app.run("export_coco", photos, params)
    assert len(COCO(str(path)).anns) == photos.count("promerge.detections")
    assert result["annotations"] == photos.count("promerge.detections")
    assert str(path) in app.shown(invoked)["summary"]["default"]


@pytest.mark.parametrize("path", ["masks.json", "/etc/hostname/masks.json"])
def test_export_form_refuses_a_wrong_path(app, photos, path):
    photos.clone_sample_field("note", "other")
    assert app.wrong(app.form("export_coco", photos, {"path": path}))["path"]


def test_a_file_that_is_there_is_replaced_only_when_told(app, photos, tmp_path):
    app.run("generate_masks", photos, app.QUICK)
    path = tmp_path / "masks.json"
    params = {"label_field": "promerge", "path": str(path)}
    assert "overwrite" not in app.form("export_coco", photos, params)
    path.write_text("mine")
    form = app.form("export_coco", photos, params)
    assert "no run of fiftyone-promerge wrote it" in app.wrong(form)["path"]
    with pytest.raises(Exception, match="Validation error"):
        app.stream("export_coco", photos, params)
    assert path.read_text() == "mine"
    assert not app.wrong(app.form("export_coco", photos, {**params, "overwrite": True}))
    app.run("export_coco", photos, {**params, "overwrite": True})
    assert COCO(str(path)).anns
    form = app.form("export_coco", photos, params)
    assert "overwrite" in form and not app.wrong(form)
    app.run("export_coco", photos, params)
