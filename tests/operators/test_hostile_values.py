"""Values that the App never sends: the form says what is wrong with them, and nothing is run."""

from __future__ import annotations

import math

import pytest

from fiftyone_promerge.plugin import OPERATORS

VALUES = [
    *([], ["a"], {}, {"a": 1}, 3, -1, 1.5, math.nan, math.inf, -math.inf, 10**30, True, None),
    *("", " ", "a.b", "_id", "$x", "a" * 5000, "\x00", "\ud800", "[/bold]", "<script>"),
    *("../../etc/passwd", "/etc/passwd", "/dev/zero", "~", "~nobody/x", "id", "filepath", "tags"),
]


@pytest.fixture
def masks(photos):
    """The photos, with an empty field of detections."""
    import fiftyone as fo

    photos.set_values("masks", [fo.Detections()] * len(photos))
    return photos


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_value_of_every_input_is_answered_with_a_form(app, masks, operator):
    before, refused = list(masks.get_field_schema()), 0
    names = [*app.form(operator, masks, {"advanced": True}), "overwrite", "nothing"]
    for value in VALUES:
        params = {**dict.fromkeys(names, value), "advanced": True}
        wrong = app.wrong(app.form(operator, masks, params))
        assert all(wrong.values()), value
        if wrong:
            refused += 1
            # FiftyOne's own check stumbles over a section that is no object.
            with pytest.raises(Exception, match=r"Validation error|has no attribute 'get'"):
                app.stream(operator, masks, params)
    assert refused or len(names) < 4
    assert list(masks.get_field_schema()) == before
    assert not masks.list_runs() and not masks.list_evaluations()
