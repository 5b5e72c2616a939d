"""`promerge demo`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def test_demo_segments_photos_and_draws_them(promerge, tmp_path: Path, database: str):
    import fiftyone as fo

    picture = tmp_path / "demo.png"
    result = promerge("demo", "--picture", picture)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset("promerge-demo")
    counts = [len(label.detections) for label in dataset.values("promerge_embedded")]
    assert len(counts) == 8
    assert sum(count > 0 for count in counts) >= 6
    drawn = np.asarray(Image.open(picture).convert("RGB"))
    assert drawn.std() > 20
    assert "make app" in result.output
    dataset.delete()
