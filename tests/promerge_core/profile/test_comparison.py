"""What is timed beside the backbone: the stages, and what others use in their place."""

from __future__ import annotations

import functools

import pytest

from promerge_core import ProMergeConfig, load_backbone, prepare_image
from promerge_core.profile import comparison
from promerge_core.profile.comparison import measure_peers, measure_stages
from promerge_core.profile.planted import planted_features
from promerge_core.profile.stopwatch import Stopwatch

CONFIG = ProMergeConfig(image_size=96)


@pytest.fixture
def network():
    return load_backbone("embedded", "cpu")


@pytest.fixture
def measured(network, scene):
    """A stopwatch with the stages' rows."""
    watch = Stopwatch(network.device, repeats=1)
    measure_stages(network, CONFIG, prepare_image(scene(90, 120), 96), watch)
    return watch


def test_every_stage_has_a_row(measured):
    assert [row["stage"] for row in measured.rows] == [
        "prompting to merging",
        "dense CRF, 1 mask",
        "dense CRF, 2 masks",
        "dense CRF, 4 masks",
        "resize and RLE, 4 masks",
    ]
    assert all(row["median_s"] >= row["min_s"] > 0 for row in measured.rows)


def test_a_peer_is_compared_with_the_stage_in_whose_place_it_is(
    measured, network, scene, monkeypatch
):
    pytest.importorskip("pydensecrf", reason="the extra 'pydensecrf' is not installed")
    # On the grid of 60 x 60 patches scipy takes half a minute.
    small = functools.partial(planted_features, side=20)
    monkeypatch.setattr(comparison, "planted_features", small)
    ratios = measure_peers(network, CONFIG, prepare_image(scene(90, 120), 96), measured)
    seconds = {row["stage"]: row["median_s"] for row in measured.rows}
    expected = {
        f"pydensecrf, {masks}": seconds[f"pydensecrf, {masks}"] / seconds[f"dense CRF, {masks}"]
        for masks in ("1 mask", "2 masks", "4 masks")
    }
    expected["scipy.linalg.eigh, the same"] = (
        seconds["scipy.linalg.eigh, the same"] / seconds["MaskCut, one eigenvector"]
    )
    assert ratios == pytest.approx(expected)
