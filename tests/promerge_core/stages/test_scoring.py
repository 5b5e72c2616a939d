"""Scores: in (0, 1], rising with the IoU of the refinement, 1.0 when constant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core import ProMerge, ProMergeConfig, load_backbone, segment_features
from promerge_core.registry import SCORES
from promerge_core.stages.pipeline import Stages
from promerge_core.stages.scoring import compactness


@pytest.fixture
def stages() -> Stages:
    """Stages of features with two objects on a plain."""
    features = torch.zeros(3, 60, 60)
    features[0] = 1
    for channel, corner in ((1, 10), (2, 34)):
        features[:, corner : corner + 16, corner : corner + 16] = 0
        features[channel, corner : corner + 16, corner : corner + 16] = 1
    return segment_features(features)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_scores_lie_above_zero_and_at_most_at_one(name: str, stages: Stages) -> None:
    assert len(stages.merged) == 2
    for values in ([0.0, 1.0], [0.5, 0.7]):
        scores = SCORES[name].load()(stages, torch.tensor(values, dtype=torch.float64))
        assert scores.shape == (2,)
        assert scores.dtype == torch.float64
        assert bool(((scores > 0) & (scores <= 1)).all())


def test_stability_rises_with_the_iou_of_the_refinement(stages: Stages) -> None:
    low, high = (
        SCORES["stability"].load()(stages, torch.tensor([0.6, 0.8], dtype=torch.float64)).tolist()
    )
    assert low < high


def test_stability_rises_with_compactness() -> None:
    masks = torch.zeros(4, 20, 20, dtype=torch.bool)
    masks[0, 4:10, 4:10] = True
    masks[1, 4:10, 4:16] = True
    masks[2, 4, :] = True
    assert compactness(masks)[[0, 3]].tolist() == [1.0, 0.0]
    assert compactness(masks).tolist() == sorted(compactness(masks).tolist(), reverse=True)


def test_constant_is_one(stages: Stages) -> None:
    scores = SCORES["constant"].load()(stages, torch.tensor([0.5, 1.0], dtype=torch.float64))
    assert scores.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", sorted(SCORES))
def test_the_config_chooses_the_score(name: str) -> None:
    rows, columns = np.mgrid[:480, :480]
    image = np.full((480, 480, 3), 210, np.uint8)
    image[(rows - 200) ** 2 + (columns - 240) ** 2 < 100**2] = (160, 40, 30)
    (mask,) = ProMerge(load_backbone("embedded"), ProMergeConfig(score=name)).generate([image])[0]
    if name == "constant":
        assert mask.score == 1.0
    else:
        assert 0.5 < mask.score < mask.facts["refine_iou"]
