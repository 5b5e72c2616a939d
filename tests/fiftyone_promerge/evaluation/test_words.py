"""The twelve numbers as people read them."""

from __future__ import annotations

import pytest

from fiftyone_promerge.evaluation.words import MEANINGS, METRICS, panel_label, percent


@pytest.mark.parametrize(
    ("value", "said"), [(23.94, "23.9"), (0.0, "0.0"), (-1.0, "—"), (None, "")]
)
def test_an_undefined_number_is_a_dash_and_an_unknown_one_nothing(value, said):
    assert percent(value) == said


def test_every_number_has_its_meaning():
    assert list(MEANINGS) == METRICS


def test_the_panels_label_says_what_a_number_means_and_where_there_is_none():
    assert panel_label("APl", 0.5) == "APl: average precision, large objects, over 96 x 96 pixels"
    assert panel_label("APl", -1.0).endswith("(not defined: there are none)")
