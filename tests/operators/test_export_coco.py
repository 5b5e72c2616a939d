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
