"""Rows of a comparison, and their picture."""

from __future__ import annotations

import pytest
from PIL import Image

METRICS = ["AP", "AP50", "AP75", "APs", "APm", "APl"]
METRICS += ["AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


@pytest.fixture
def comparison(database):
    """The module under test; FiftyOne may be imported only once the database runs."""
    import fiftyone_promerge.evaluation.comparison

    return fiftyone_promerge.evaluation.comparison


def metrics(ap, **others):
    return {**dict.fromkeys(METRICS, 0.25), "AP": ap, "support": 7, **others}


def test_evaluations_are_in_percent_and_before_what_is_published(comparison):
    found = {"mine": metrics(0.5, ARl=-1), "other": metrics(0.125)}
    mine, other, published = comparison.comparison(found, {"ProMerge": 2.4})
    assert mine == {
        "name": "mine",
        "published": False,
        **dict.fromkeys(METRICS, 25),
        "AP": 50,
        "ARl": -1,
    }
    assert (other["name"], other["AP"]) == ("other", 12.5)
    assert published == {"name": "ProMerge", "published": True, "AP": 2.4}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_picture_grows_with_the_rows(comparison, tmp_path, suffix):
    heights = []
    for published in ({}, {"MaskCut": 2.2, "ProMerge": 2.4}):
        rows = comparison.comparison({"mine": metrics(0.5)}, published)
        path = tmp_path / f"table.{suffix}"
        comparison.draw(rows, "COCO 2017 val", path)
        with Image.open(path) as picture:
            heights.append(picture.height)
    assert heights[0] + 2 * 75 == heights[1]  # half an inch a row at 150 dots per inch
