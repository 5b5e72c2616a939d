"""A whole measurement with a ViT, whose figures must fit one another."""

from __future__ import annotations

import pytest
from PIL import Image

from promerge_core import BackboneError
from promerge_core.profile.run import run_profile


def test_a_vit_is_measured_without_its_weights(scene):
    photos = [Image.fromarray(scene(90, 120)), Image.fromarray(scene(64, 64))]
    name = "timm:vit_small_patch14_dinov2.lvd142m"
    figures = run_profile(photos, name, "cpu", "float32", batch_size=2, repeats=1, peers=False)
    assert figures["backbone"] == {"name": name, "dtype": "torch.float32", "batch_size": 2}
    assert figures["machine"]["device"] == "cpu"
    rows = {row["stage"]: row for row in figures["rows"]}
    assert {"resize to the input", "backbone (keys)", "end to end, after the resize"} < set(rows)
    whole = figures["end_to_end"]
    assert len(whole["masks"]) == 2
    assert whole["to_backbone"] > 0
    seconds = 1 / whole["images_per_s"]
    assert rows["end to end, after the resize"]["median_s"] == pytest.approx(seconds)
    assert whole["share_of_floor"] == pytest.approx(whole["floor_s"] / seconds)
    assert whole["share_of_floor"] > 0
    assert figures["peers"] == {}
    assert "busy" not in figures
    assert figures["peak_rss_mib"] > 100
    assert "peak_gpu_mib" not in figures


def test_a_file_of_weights_that_is_not_there_is_an_error_before_anything_is_measured(tmp_path):
    with pytest.raises(BackboneError, match="no weights file at"):
        run_profile([Image.new("RGB", (8, 8))], weights=str(tmp_path / "none.pth"))
