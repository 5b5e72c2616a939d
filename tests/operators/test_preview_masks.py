"""`preview_masks`, the button in the form of `generate_masks`."""

from __future__ import annotations

import base64
import io

from PIL import Image


def test_the_button_shows_the_masks_of_one_image_and_writes_nothing(app, photos):
    form = app.form("generate_masks", photos, app.QUICK)
    button = form["preview"]["view"]
    assert button["label"] == "Preview on the first image"
    assert button["params"]["sample_id"] == photos.first().id
    invoked, result = app.run("preview_masks", photos, button["params"])
    assert result["masks"] > 0 and result["image"] == "astronaut.jpg"
    head, _, content = result["picture"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (160, 120)
    assert "nothing was written" in app.shown(invoked)["summary"]["default"]
    assert not photos.has_field("promerge") and not photos.list_runs()


def test_the_selected_image_is_taken_and_an_invalid_form_has_no_button(app, photos):
    chosen = photos.last().id
    form = app.form("generate_masks", photos, app.QUICK, selected=[chosen])
    assert form["preview"]["view"]["params"]["sample_id"] == chosen
    assert "preview" not in app.form("generate_masks", photos, {"backbone": "resnet"})
