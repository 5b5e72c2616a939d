"""Masks with vectors that the tests write themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture
def with_vectors(make_dataset: Callable[[], fo.Dataset]) -> Callable[..., fo.Dataset]:
    """A dataset of ten masks per sample, whose vectors are the rows of an array."""

    def make(vectors: np.ndarray) -> fo.Dataset:
        import fiftyone as fo

        made = make_dataset()
        masks = [
            fo.Detection(label="object", bounding_box=[0, 0, 1, 1], embedding=row)
            for row in np.asarray(vectors, np.float32)
        ]
        made.add_samples(
            fo.Sample(f"/{at}.png", promerge=fo.Detections(detections=masks[at : at + 10]))
            for at in range(0, len(masks), 10)
        )
        made.add_sample_field("promerge.detections.embedding", fo.VectorField)
        return made

    return make


@pytest.fixture
def two_clouds() -> np.ndarray:
    """25 vectors around a point, and 15 far from them."""
    vectors = np.random.default_rng(0).normal(0, 1, (40, 4))
    vectors[25:] += 20
    return vectors
