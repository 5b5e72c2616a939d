"""Where things are on the image, and what stands in a plot."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def canvas(photo):
    from fiftyone_promerge.operators.inspector.canvas import Canvas

    return Canvas(photo)


def test_the_image_keeps_its_aspect_ratio(canvas):
    assert (canvas.width, canvas.height) == (480, 320)
    assert canvas.pixels.shape == (320, 480, 3)


def test_patches_lie_evenly_over_the_image(canvas):
    rows, columns = canvas.inspection.explanation.background_votes.shape
    corners = torch.tensor([[0, 0], [rows - 1, columns - 1]])
    x, y = canvas.patch_centres(corners)
    assert x == pytest.approx([240 / columns, 480 - 240 / columns])
    assert y == pytest.approx([160 / rows, 320 - 160 / rows])
    trace = canvas.heatmap(torch.rand(rows, columns))
    assert trace["x0"] + (columns - 1) * trace["dx"] == pytest.approx(x[1])


def test_the_border_of_a_mask_is_closed_and_has_a_gap_before_the_next(canvas):
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2:5, 2:5] = mask[12:15, 20:25] = True
    line = canvas.outline(mask, "#ffffff")
    assert line["x"].count(None) == line["y"].count(None) == 2
    first = line["x"][: line["x"].index(None)]
    assert first[0] == first[-1]
    assert not canvas.outline(torch.zeros(20, 30, dtype=torch.bool), "#ffffff")["x"]


def test_a_plot_without_traces_shows_its_picture_all_the_same(canvas):
    plot = canvas.plot([])
    assert plot["data"] == [{"type": "scatter", "x": [None], "y": [None]}]
    (picture,) = plot["layout"]["images"]
    encoded = picture["source"].removeprefix("data:image/jpeg;base64,")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    assert np.abs(shown.astype(int) - canvas.pixels).mean() < 8
