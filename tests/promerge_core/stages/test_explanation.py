"""What `explain` says, against the stages themselves and a cascade written as a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from promerge_core import NoMasks, ProMergeConfig, segment_features
from promerge_core.stages.explanation import explain
from promerge_core.stages.pruning import Verdict


def noisy_features(seed, height=18, width=22, channels=16):
    """Smooth random features, whose proposals have ragged, nested and overlapping shapes."""
    noise = np.random.default_rng(seed).standard_normal((channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2)) * 4
    smooth[0] += 1.5
    return torch.from_numpy((smooth + 0.3 * noise).astype(np.float32))


def plain_verdicts(proposals, background, features, config):
    """The cascade as the paper tells it: one proposal after the other, by ascending area."""
    unit = features / (np.linalg.norm(features, axis=0) + 1e-5)
    ground = unit[:, background].mean(1)
    union = np.zeros_like(background)
    verdicts, measured = [None] * len(proposals), [None] * len(proposals)
    for index in np.argsort([mask.sum() for mask in proposals], kind="stable"):
        mask = proposals[index]
        new = mask & ~union
        share = (new & background).sum() / max(new.sum(), 1)
        similarity = unit[:, mask].mean(1) @ ground
        measured[index] = (new.sum(), share, similarity)
        if new.sum() == 0:
            verdicts[index] = Verdict.NOTHING_NEW
        elif share >= config.background_overlap:
            verdicts[index] = Verdict.BACKGROUND_OVERLAP
        elif similarity >= config.background_similarity:
            verdicts[index] = Verdict.BACKGROUND_SIMILARITY
        else:
            verdicts[index] = Verdict.KEPT
            union |= mask
    return verdicts, np.array(measured)


CONFIG = ProMergeConfig(
    seed_stride=2, affinity_threshold=0.3, background_overlap=0.5, background_similarity=0.2
)


@pytest.mark.parametrize("seed", range(6))
def test_verdicts_are_those_of_a_loop_over_proposals(seed):
    features = noisy_features(seed)
    explanation = explain(features, CONFIG)
    stages = explanation.stages
    assert stages.reason is None
    verdicts, measured = plain_verdicts(
        stages.proposals.numpy(), stages.background.numpy(), features.double().numpy(), CONFIG
    )
    assert explanation.outcomes.verdicts == verdicts
    assert explanation.outcomes.new_areas.tolist() == measured[:, 0].tolist()
    assert explanation.outcomes.new_background.tolist() == pytest.approx(measured[:, 1].tolist())
    assert explanation.outcomes.similarities.tolist() == pytest.approx(
        measured[:, 2].tolist(), abs=1e-5
    )


def test_every_verdict_is_met():
    explanations = [explain(noisy_features(seed), CONFIG) for seed in range(6)]
    assert {v for each in explanations for v in each.outcomes.verdicts} == set(Verdict)


@pytest.mark.parametrize("seed", range(6))
def test_explanation_is_of_what_segment_features_gives(seed):
    features = noisy_features(seed)
    explanation = explain(features, CONFIG)
    stages = segment_features(features, CONFIG)
    assert torch.equal(explanation.stages.merged, stages.merged)
    kept = torch.tensor([verdict is Verdict.KEPT for verdict in explanation.outcomes.verdicts])
    assert kept.sum() == len(stages.kept) == stages.votes.sum()
    assert torch.equal(kept, explanation.outcomes.clusters >= 0)
    for number, mask in enumerate(stages.merged):
        assert torch.equal(mask, stages.proposals[explanation.outcomes.clusters == number].any(0))
    assert explanation.is_candidate.sum() == len(stages.background_candidates)
    majority = 2 * explanation.background_votes > len(stages.background_candidates)
    assert torch.equal(majority, stages.background)


@pytest.mark.parametrize("stride", [2, 3])
def test_affinity_of_a_prompt_gives_its_proposals(stride):
    features = noisy_features(1)
    config = ProMergeConfig(seed_stride=stride, component_area_ratio=0.0, affinity_threshold=0.3)
    explanation = explain(features, config)
    unit = torch.nn.functional.normalize(features, dim=0)
    assert len(explanation.prompts) == -(-18 // stride) * -(-22 // stride)
    for number, ((row, column), affinity) in enumerate(
        zip(explanation.prompts.tolist(), explanation.affinities, strict=True)
    ):
        assert row % stride == column % stride == 0
        expected = torch.einsum("chw,c->hw", unit, unit[:, row, column])
        assert torch.allclose(affinity, expected, atol=1e-4)
        own = explanation.stages.proposals[explanation.owners == number]
        assert bool(explanation.is_candidate[number]) == (len(own) == 0)
        if len(own):  # with every component kept, they add up to the whole mask
            assert torch.equal(own.any(0), affinity > 0.3)


@pytest.mark.parametrize(
    ("features", "reason", "votes"),
    [
        (torch.zeros(8, 12, 12), NoMasks.NO_BACKGROUND, 0),
        (torch.ones(8, 12, 12), NoMasks.NO_PROPOSALS, 9),
    ],
)
def test_image_without_masks_is_explained_as_far_as_it_got(features, reason, votes):
    explanation = explain(features)
    assert explanation.stages.reason is reason
    assert explanation.outcomes is None
    assert len(explanation.prompts) == len(explanation.affinities) == 9
    assert explanation.background_votes.unique().tolist() == [votes]


def test_all_pruned_is_judged():
    explanation = explain(noisy_features(0), ProMergeConfig(background_similarity=-1.0))
    assert explanation.stages.reason is NoMasks.ALL_PRUNED
    assert len(explanation.outcomes.verdicts) == len(explanation.stages.proposals) > 0
    assert Verdict.KEPT not in explanation.outcomes.verdicts


def test_every_verdict_has_an_explanation():
    assert len({verdict.explanation for verdict in Verdict}) == len(Verdict)
