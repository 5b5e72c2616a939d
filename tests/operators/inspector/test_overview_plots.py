"""The figures of a dataset as plots."""

from __future__ import annotations

import pytest


@pytest.fixture
def plots(database):
    from fiftyone_promerge.operators.inspector import overview_plots

    return overview_plots


def test_bars_stand_in_the_middle_of_their_edges(plots):
    from fiftyone_promerge.inspection.statistics import Histogram

    plot = plots.histogram_plot(Histogram(edges=[0.0, 0.5, 1.0], counts=[3, 9]), [0, 1])
    assert (plot["data"][0]["x"], plot["data"][0]["y"]) == ([0.25, 0.75], [3, 9])
    assert plot["layout"]["xaxis"]["range"] == [0, 1]
    assert plot["layout"]["yaxis"]["dtick"] == 3


def test_areas_are_labelled_in_percent(plots):
    from fiftyone_promerge.inspection.statistics import Histogram

    axis = plots.areas_plot(Histogram(edges=[-5.0, 0.0], counts=[1]))["layout"]["xaxis"]
    assert dict(zip(axis["tickvals"], axis["ticktext"], strict=True))[-2] == "1"


def test_published_rows_are_grey_and_gaps_stay_empty(plots):
    rows = [
        {"name": "mine", "published": False, "AP": 12.34},
        {"name": "CutLER", "published": True, "AP": 9.0, "AR100": 30.0},
    ]
    ap, ar = plots.evaluations_plot(rows)["data"]
    assert ap["y"] == ["mine", "CutLER (paper)"]
    assert (ap["text"], ar["text"]) == (["AP 12.3", "AP 9.0"], ["", "AR100 30.0"])
    assert ap["marker"]["color"][1] == ar["marker"]["color"][1] != ap["marker"]["color"][0]


def test_a_long_curve_is_thinned(plots):
    curve = {iteration: 1 / iteration for iteration in range(1, 5001)}
    (line,) = plots.losses_plot({"long": curve})["data"]
    assert len(line["x"]) == 1000
    assert (line["x"][1], line["y"][1]) == (6, 1 / 6)


def test_the_picture_of_a_validation_is_shown_whole_and_made_smaller(plots, tmp_path):
    from PIL import Image

    Image.new("RGB", (3200, 800), "red").save(tmp_path / "1.png")
    layout = plots.validation_plot(tmp_path / "1.png")["layout"]
    assert (layout["images"][0]["sizex"], layout["images"][0]["sizey"]) == (1600, 400)
    assert layout["yaxis"]["range"] == [400, 0]
