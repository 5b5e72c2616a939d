"""The inputs that choose a method and its backbone."""

from __future__ import annotations

import pytest


@pytest.fixture
def asked(database):
    """The properties of a form of these values, and the values that it gives."""
    import fiftyone.operators as foo

    from fiftyone_promerge.operators.framework.forms import Form
    from fiftyone_promerge.operators.framework.model_inputs import ask_model

    def ask(defaults=None, **params):
        form = Form(foo.ExecutionContext({"params": params}))
        ask_model(form, defaults or {})
        return form.property("Title").to_json()["type"]["properties"], form.values

    return ask


def test_backbones_are_sentences(asked):
    form, _ = asked()
    choices = {one["value"]: one["label"] for one in form["backbone"]["view"]["choices"]}
    assert choices["dino_vitb8"] == "DINO ViT-B/8: the best masks, 340 MB download"
    assert choices["embedded"] == "embedded: rough masks, no download"


def test_weights_are_asked_for_where_they_make_sense(asked):
    assert "weights" in asked()[0]
    form, values = asked(backbone="embedded")
    assert "weights" not in form and values["weights"] is None
    form, _ = asked(backbone="embedded", weights="/etc/hostname")
    assert "takes no weights file" in form["weights"]["error_message"]


def test_a_field_opens_with_what_made_it(asked):
    made_by = {"method": "maskcut", "backbone": "embedded", "weights": None}
    _, values = asked(made_by)
    assert values == made_by
    assert asked(made_by, method="promerge")[1]["method"] == "promerge"
