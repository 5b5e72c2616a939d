"""`apply_detector` as the App asks for it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("params", "property_name", "said"),
    [
        ({"checkpoint": "/no/such.pt"}, "checkpoint", "there is no"),
        ({"label_field": "note"}, "label_field", "holds Classification"),
    ],
)
def test_form_says_what_is_wrong(app, photos, params, property_name, said):
    assert said in app.wrong(app.form("apply_detector", photos, params))[property_name]


def test_a_file_that_is_no_checkpoint_is_one_sentence(app, photos, tmp_path):
    path = tmp_path / "detector.pt"
    path.write_text("nothing")
    _, result = app.run("apply_detector", photos, {"checkpoint": str(path)})
    assert "detector.pt" in result["error"]
    assert "Traceback" not in result["error"]
    assert not photos.has_field("promerge_plus")
