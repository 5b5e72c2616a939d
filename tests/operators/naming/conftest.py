"""Fixtures of the panel and the operators: grouped masks of red and blue boxes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def masks(make_dataset, tmp_path):
    """Six photos with a red box and three with a blue one, and vectors that tell them apart."""
    import fiftyone as fo

    dataset = make_dataset()
    for number in range(9):
        pixels = np.full((40, 60, 3), 200, np.uint8)
        red = number < 6
        pixels[10:30, 20:40] = (200, 0, 0) if red else (0, 0, 200)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        vector = np.array([0.1 * number, 9 if red else 0], np.float32)
        box = [20 / 60, 10 / 40, 20 / 60, 20 / 40]
        one = fo.Detection(
            label="object", bounding_box=box, mask=np.ones((20, 20), bool), embedding=vector
        )
        sample = fo.Sample(str(tmp_path / f"{number}.png"))
        sample["promerge"] = fo.Detections(detections=[one])
        dataset.add_sample(sample)
    dataset.add_sample_field("promerge.detections.embedding", fo.VectorField)
    return dataset


@pytest.fixture
def grouped(masks):
    import fiftyone_promerge as fop

    fop.group_masks(masks, "promerge", method="kmeans", groups=2)
    return masks
