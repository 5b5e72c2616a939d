"""All stages: the official code's results, and the definition written as plain loops."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

import promerge_core.stages.pipeline as stages_module
from plain_promerge import plain_merge, plain_proposals, plain_prune
from promerge_core import NoMasks, ProMergeConfig, PromergeError, segment_features
from promerge_core.stages.pipeline import segment_batch
from promerge_core.stages.prompting import unit_features

STAGES = ["proposals", "background_candidates", "kept", "merged"]


def as_bytes(masks):
    return [np.packbits(mask).tobytes() for mask in masks]


def as_set(masks):
    return sorted(as_bytes(np.asarray(masks)))


@pytest.fixture(scope="module")
def planted():
    """Features of a 24 x 32 grid: one direction for the ground, one for each of three objects."""
    rng = np.random.default_rng(3)
    labels = np.zeros((24, 32), int)
    labels[3:11, 4:12], labels[6:20, 18:25], labels[14:22, 3:14] = 1, 2, 3
    directions = rng.standard_normal((4, 48))
    features = directions[labels] + 0.5 * rng.standard_normal((24, 32, 48))
    return torch.from_numpy(features.transpose(2, 0, 1).astype(np.float32)), labels


def test_stages_equal_the_official_code(vector):
    stages = segment_features(torch.from_numpy(vector["features"]).float())
    for name in STAGES:
        assert as_set(getattr(stages, name)) == as_set(vector[name]), name
    if len(vector["background"]) == 0:
        assert stages.background is None or stages.reason is NoMasks.NO_PROPOSALS
    else:
        assert np.array_equal(stages.background, vector["background"][0])
    assert (stages.reason is None) == (len(vector["merged"]) > 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no_background", NoMasks.NO_BACKGROUND), ("all_background", NoMasks.NO_PROPOSALS)],
)
def test_degenerate_vectors_say_why_there_are_no_masks(shared_dir, name, reason):
    file = shared_dir / "reference" / "promerge" / f"degenerate_{name}.npz"
    features = torch.from_numpy(np.load(file)["features"]).float()
    stages = segment_features(features)
    assert stages.reason is reason
    assert stages.merged.shape == stages.kept.shape == (0, 60, 60)
    assert len(stages.votes) == len(stages.background_similarity) == 0


def test_background_below_the_minimum_gives_no_masks(planted):
    features, _ = planted
    share = float(segment_features(features).background.float().mean())
    enough = segment_features(features, ProMergeConfig(min_background_fraction=share - 0.01))
    small = segment_features(features, ProMergeConfig(min_background_fraction=share + 0.01))
    assert enough.reason is None
    assert small.reason is NoMasks.SMALL_BACKGROUND
    assert len(small.merged) == 0
    assert torch.equal(small.background, enough.background)


def test_nothing_survives_when_everything_counts_as_background(planted):
    stages = segment_features(planted[0], ProMergeConfig(background_similarity=-1.0))
    assert stages.reason is NoMasks.ALL_PRUNED
    assert len(stages.proposals) > 0
    assert len(stages.kept) == len(stages.merged) == 0


def test_every_reason_has_an_explanation():
    assert len({reason.explanation for reason in NoMasks}) == len(NoMasks)


def test_constant_features_have_no_proposals():
    assert segment_features(torch.ones(8, 12, 12)).reason is NoMasks.NO_PROPOSALS


def test_zero_features_have_no_background_and_do_not_divide_by_zero():
    assert segment_features(torch.zeros(8, 12, 12)).reason is NoMasks.NO_BACKGROUND


def test_planted_objects_are_found(planted):
    features, labels = planted
    stages = segment_features(features)
    truth = [torch.from_numpy(labels == k) for k in (1, 2, 3)]
    assert len(stages.merged) == len(stages.votes) == 3
    for mask, thing in itertools.product(stages.merged, truth):
        iou = (mask & thing).sum() / (mask | thing).sum()
        assert iou > 0.9 or iou < 0.1
    assert stages.votes.sum() == len(stages.kept)
    assert stages.votes.min() >= 1


def test_background_similarity_is_that_of_the_merged_masks(planted):
    stages = segment_features(planted[0])
    unit = torch.nn.functional.normalize(planted[0].double().flatten(1).T, dim=1)
    ground = unit[stages.background.flatten()].mean(0)
    expected = [unit[mask.flatten()].mean(0) @ ground for mask in stages.merged]
    assert stages.background_similarity.tolist() == pytest.approx(
        [float(value) for value in expected], abs=1e-4
    )


@pytest.mark.parametrize(
    "layout",
    [
        lambda f: f.double(),
        lambda f: f.permute(1, 2, 0).contiguous().permute(2, 0, 1),
        lambda f: f.transpose(1, 2).contiguous().transpose(1, 2),
        lambda f: torch.stack([f, f], dim=-1)[..., 0],
        lambda f: torch.cat([f, f])[: len(f)],
        lambda f: f.flip(2).contiguous().flip(2),
        lambda f: f.clone().requires_grad_(),
        lambda f: f * 1000,
    ],
    ids=["float64", "channels_last", "columns_first", "strided", "slice", "flip", "grad", "scaled"],
)
def test_layout_and_scale_of_features_do_not_matter(planted, layout):
    features = planted[0]
    expected, stages = segment_features(features), segment_features(layout(features))
    for name in STAGES:
        assert as_set(getattr(stages, name)) == as_set(getattr(expected, name)), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_counts_as_its_value_in_float32(planted, dtype):
    half = planted[0].to(dtype)
    expected, stages = segment_features(half.float()), segment_features(half)
    for name in STAGES:
        assert torch.equal(getattr(stages, name), getattr(expected, name)), name


def test_features_are_left_as_they_were(planted):
    features = planted[0].clone()
    segment_features(features)
    assert torch.equal(features, planted[0])


def test_the_same_features_give_the_same_order(planted):
    first, second = segment_features(planted[0]), segment_features(planted[0])
    for name in STAGES:
        assert torch.equal(getattr(first, name), getattr(second, name)), name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused(planted, value):
    features = planted[0].clone()
    features[5, 7, 9] = value
    with pytest.raises(PromergeError, match="NaN or infinite"):
        segment_features(features)


@pytest.mark.parametrize("shape", [(768,), (60, 60), (1, 768, 60, 60)])
def test_features_of_another_dimension_are_refused(shape):
    with pytest.raises(PromergeError, match=r"\[C, h, w\]"):
        segment_features(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4, 1, 1), (4, 1, 9), (4, 9, 1), (1, 2, 2)])
def test_tiny_grids_work(shape):
    features = torch.from_numpy(np.random.default_rng(0).standard_normal(shape)).float()
    stages = segment_features(features)
    assert stages.proposals.shape[1:] == shape[1:]


@pytest.mark.parametrize("seed", range(8))
def test_all_stages_are_those_of_plain_loops(seed, noisy_features):
    config = ProMergeConfig(affinity_threshold=0.1, seed_stride=2, background_similarity=0.3)
    features = noisy_features(seed)
    # A common direction makes a background that votes.
    features[:, 4:-4, 4:-4] -= 1
    features += 1
    stages = segment_features(features, config)
    proposals, candidates = plain_proposals(features.double(), config)
    assert as_set(stages.proposals) == as_set(proposals)
    assert as_set(stages.background_candidates) == as_set(candidates)
    assert stages.reason is None
    background = np.mean(candidates, axis=0) > 0.5
    unit = unit_features(features).double().numpy().reshape(*background.shape, -1)
    kept = plain_prune(proposals, background, unit, config)
    assert as_set(stages.kept) == as_set(kept)
    assert as_set(stages.merged) == as_set([mask for mask, _ in plain_merge(kept, unit, config)])


def assert_same(first, second):
    """All that two `Stages` say is the same, the cosines up to the order of summation."""
    for field in dataclasses.fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if not isinstance(one, torch.Tensor):
            assert one == other, field.name
        else:
            assert one.shape == other.shape, field.name
            assert torch.allclose(one.float(), other.float(), atol=1e-5), field.name


@pytest.fixture
def batch(noisy_features):
    """Features of images that end in different ways, and have different numbers of all masks."""
    rng = np.random.default_rng(8)
    ground, thing, other = np.linalg.qr(rng.standard_normal((12, 12)))[0][:3]
    found = np.tile(ground, (16, 16, 1))
    found[4:9, 4:9] = thing
    more = found.copy()
    more[11:14, 3:13] = other
    images = [found, more, np.tile(ground, (16, 16, 1)), np.zeros((16, 16, 12))]
    images.append(rng.standard_normal((16, 16, 12)))
    features = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
    return torch.cat([features, noisy_features(1, 16, 16, 12)[None] + 0.4])


@pytest.mark.parametrize("threshold", [0.2, 0.4])
@pytest.mark.parametrize("fraction", [0.0, 0.95])
def test_a_batch_gives_what_its_images_give_alone(batch, threshold, fraction):
    config = ProMergeConfig(
        seed_stride=2, affinity_threshold=threshold, min_background_fraction=fraction
    )
    together = segment_batch(batch, config)
    for features, stages in zip(batch, together, strict=True):
        assert_same(stages, segment_features(features, config))
    assert {stages.reason for stages in together} >= {
        NoMasks.NO_BACKGROUND,
        NoMasks.NO_PROPOSALS,
        NoMasks.SMALL_BACKGROUND if fraction else None,
    }


def test_images_of_a_batch_are_pruned_and_merged_as_alone(noisy_features):
    config = ProMergeConfig(affinity_threshold=0.1, seed_stride=2, background_similarity=0.3)
    features = torch.stack([noisy_features(seed) for seed in range(8)])
    # A common direction makes a background that votes.
    features[:, :, 4:-4, 4:-4] -= 1
    features += 1
    together = segment_batch(features, config)
    for one, stages in zip(features, together, strict=True):
        assert_same(stages, segment_features(one, config))
    kept, merged = ([len(getattr(s, name)) for s in together] for name in ("kept", "merged"))
    assert len(set(kept)) > 1 and len(set(merged)) > 1
    assert max(kept) > max(merged) > 1


def test_an_image_of_very_many_proposals_is_looked_at_alone(batch, monkeypatch):
    config = ProMergeConfig(seed_stride=2)
    expected = segment_batch(batch, config)
    alone = []
    monkeypatch.setattr(stages_module, "_MOST_ROWS", 5)
    monkeypatch.setattr(
        stages_module,
        "segment_features",
        lambda *args: alone.append(args) or segment_features(*args),
    )
    for stages, one in zip(segment_batch(batch, config), expected, strict=True):
        assert_same(stages, one)
    assert len(alone) == len(batch)
