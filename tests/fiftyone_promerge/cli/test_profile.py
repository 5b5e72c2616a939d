"""`promerge benchmark`."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest


@pytest.fixture
def few_images(monkeypatch):
    """FiftyOne is measured for a moment only."""
    from fiftyone_promerge import profile

    measure = functools.partial(profile.measure_fiftyone, images=64)
    monkeypatch.setattr(profile, "measure_fiftyone", measure)


def test_benchmark_writes_its_figures(promerge, few_images, tmp_path: Path):
    figures = tmp_path / "figures.json"
    options = [
        "--backbone",
        "embedded",
        "--repeats",
        "1",
        "--no-peers",
        "--busy",
        "1",
        "--json",
        figures,
    ]
    result = promerge("benchmark", *options)
    assert result.exit_code == 0, result.output
    content = json.loads(figures.read_text())
    stages = {row["stage"]: row["median_s"] for row in content["rows"]}
    assert all(seconds > 0 for seconds in stages.values())
    assert {"backbone (keys)", "prompting to merging", "dense CRF, 4 masks"} <= set(stages)
    whole = content["end_to_end"]
    assert whole["images_per_s"] == pytest.approx(1 / stages["end to end, after the resize"])
    assert whole["to_backbone"] > 1
    assert len(whole["masks"]) == 1
    assert content["fiftyone"]["seconds"] > 0
    assert content["fiftyone"]["device_share"] > 0
    assert content["peak_rss_mib"] > 100
    assert content["busy"]["programs"] == 1
    assert content["busy"]["slowdown"] > 0
    assert "beside 1 busy programs" in " ".join(result.output.split())
    assert "times the backbone alone" in " ".join(result.output.split())
