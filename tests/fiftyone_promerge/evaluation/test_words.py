"""The twelve numbers as people read them."""

from __future__ import annotations

import pytest

from fiftyone_promerge.evaluation.words import MEANINGS, METRICS, percent


@pytest.mark.parametrize(
    ("value", "said"), [(23.94, "23.9"), (0.0, "0.0"), (-1.0, "—"), (None, "")]
)
def test_an_undefined_number_is_a_dash_and_an_unknown_one_nothing(value, said):
    assert percent(value) == said


def test_every_number_has_its_meaning():
    assert list(MEANINGS) == METRICS
