"""Prompting to merging: the official code's results, and the definition written as plain loops."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

import promerge_core.stages.pipeline as stages_module
from plain_promerge import plain_merge, plain_proposals, plain_prune
from promerge_core import NoMasks, ProMergeConfig, PromergeError, segment_features
from promerge_core.stages.background import vote_background
from promerge_core.stages.merging import merge
from promerge_core.stages.pipeline import segment_batch
from promerge_core.stages.prompting import covers_two_borders, propose, unit_features
from promerge_core.stages.pruning import background_response, mean_features, mean_response, prune

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


def noisy_features(seed, height=20, width=24, channels=16):
    """Smooth random features, whose proposals have ragged, nested and overlapping shapes."""
    noise = np.random.default_rng(seed).standard_normal((channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2)) * 4
    return torch.from_numpy((smooth + 0.3 * noise).astype(np.float32))


# The reference vectors ---------------------------------------------------------------------------


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


# The exits ---------------------------------------------------------------------------------------


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


# Planted objects ---------------------------------------------------------------------------------


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


# Layout and types --------------------------------------------------------------------------------


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


# Prompting against plain loops -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_proposals_are_those_of_a_loop_over_prompts_in_its_order(seed):
    config = ProMergeConfig(
        seed_stride=1 + seed % 5,
        affinity_threshold=(0.0, 0.2, 0.4)[seed % 3],
        component_area_ratio=(0.5, 0.1, 1.0)[seed % 3],
    )
    features = noisy_features(seed, height=13 + seed % 3, width=11 + seed % 4)
    height, width = features.shape[1:]
    prompted = propose(unit_features(features)[None], height, width, config)
    proposals, candidates = prompted.proposals, prompted.masks[prompted.is_candidate]
    expected_proposals, expected_candidates = plain_proposals(features.double(), config)
    assert np.array_equal(candidates, np.array(expected_candidates).reshape(-1, height, width))
    assert np.array_equal(proposals, np.array(expected_proposals).reshape(-1, height, width))
    assert len(proposals) > 0


@pytest.mark.parametrize(
    ("filled", "counts"), [(0, False), (3, False), (4, False), (5, True), (8, True)]
)
def test_a_border_counts_above_one_half_only(filled, counts):
    mask = torch.zeros(1, 10, 8, dtype=torch.bool)
    mask[:, 0, :filled] = mask[:, -1, :filled] = True
    assert covers_two_borders(mask).tolist() == [counts]


def test_one_border_is_not_enough():
    mask = torch.zeros(1, 10, 8, dtype=torch.bool)
    mask[:, 0] = True
    assert not covers_two_borders(mask).any()


@pytest.mark.parametrize(("votes", "count"), [(2, 4), (3, 5), (1, 2), (1, 1), (0, 3)])
def test_background_is_what_more_than_half_of_the_candidates_hold(votes, count):
    candidates = torch.zeros(count, 2, 2, dtype=torch.bool)
    candidates[:votes, 0, 1] = True
    background = vote_background(candidates, torch.ones(count, dtype=torch.bool))
    assert bool(background[0, 1]) is (votes > count / 2)
    assert background.sum() == background[0, 1]


def test_no_candidates_no_background():
    masks = torch.ones(5, 3, 3, dtype=torch.bool)
    assert not vote_background(masks, torch.zeros(5, dtype=torch.bool)).any()


# Pruning and merging against plain loops ---------------------------------------------------------


def random_masks(rng, count, height, width):
    """Rectangles of many sizes, some with holes, some equal: ties, nesting and chains."""
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        y, x = rng.integers(height), rng.integers(width)
        mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = True
        mask[rng.random(mask.shape) < rng.choice([0, 0.3])] = False
        mask[y, x] = True
    return masks[rng.integers(count, size=count)]


@pytest.fixture(params=range(40))
def drawn(request):
    """Random masks, background, unit features and thresholds."""
    rng = np.random.default_rng(request.param)
    height, width = rng.integers(5, 20, 2)
    masks = random_masks(rng, int(rng.integers(1, 60)), height, width)
    features = torch.from_numpy(rng.standard_normal((6, height, width)) + rng.choice([0, 0.5]))
    background = rng.random((height, width)) < rng.choice([0.2, 0.6, 0.9])
    config = ProMergeConfig(
        background_overlap=float(rng.choice([0.5, 0.8, 1.0])),
        background_similarity=float(rng.choice([0.1, 0.3, 1.0])),
        merge_overlap=float(rng.choice([0.25, 0.5, 0.75])),
        merge_overlap_similar=float(rng.choice([0.0, 0.1, 0.25])),
        merge_similarity=float(rng.choice([0.1, 0.3])),
    )
    unit = unit_features(features)
    return torch.from_numpy(masks), torch.from_numpy(background), unit, config


def grid_of(unit, mask):
    return unit.double().numpy().reshape(*mask.shape, -1)


def prune_one(masks, background, unit, config):
    """`prune` for one image."""
    response = background_response(background[None], unit[None])
    return prune(masks[None], background[None], response, config)[0]


def merge_one(masks, unit, config):
    """`merge` for one image."""
    merged, cluster = merge(masks[None], unit[None], config)
    return merged[0], cluster[0]


def test_cascade_is_that_of_a_loop_over_proposals_in_its_order(drawn):
    masks, background, unit, config = drawn
    expected = plain_prune(list(masks.numpy()), background.numpy(), grid_of(unit, masks[0]), config)
    kept = prune_one(masks, background, unit, config)
    assert np.array_equal(kept, np.array(expected, bool).reshape(-1, *masks.shape[1:]))


def test_merging_is_that_of_a_loop_over_proposals(drawn):
    masks, _, unit, config = drawn
    clusters = plain_merge(list(masks.numpy()), grid_of(unit, masks[0]), config)
    merged, cluster = merge_one(masks, unit, config)
    for number, mask in enumerate(merged):
        assert torch.equal(mask, masks[cluster == number].any(0))
    found = zip(as_bytes(merged), cluster.bincount().tolist(), strict=True)
    expected = zip(as_bytes(mask for mask, _ in clusters), (n for _, n in clusters), strict=True)
    assert sorted(found) == sorted(expected)


def halves():
    """Two overlapping masks of four patches whose mean features have the exact product 1/4."""
    masks = torch.zeros(2, 1, 7, dtype=torch.bool)
    masks[0, 0, :4] = masks[1, 0, 3:] = True
    return masks, torch.tensor([[0.5, 0.0]]).repeat(7, 1)


@pytest.mark.parametrize(("similarity", "count"), [(0.25, 1), (0.2500001, 2)])
def test_masks_merge_from_the_similarity_on(similarity, count):
    masks, unit = halves()
    config = ProMergeConfig(merge_overlap_similar=0.1, merge_similarity=similarity)
    assert len(merge_one(masks, unit, config)[0]) == count


@pytest.mark.parametrize(("overlap", "count"), [(0.25, 2), (0.2499999, 1)])
def test_masks_merge_above_the_overlap(overlap, count):
    masks, unit = halves()
    config = ProMergeConfig(merge_overlap=overlap, merge_overlap_similar=1.0)
    assert len(merge_one(masks, unit, config)[0]) == count


@pytest.mark.parametrize(("similarity", "count"), [(0.25, 0), (0.2500001, 2)])
def test_masks_are_pruned_from_the_similarity_on(similarity, count):
    masks, unit = halves()
    background = torch.zeros(1, 7, dtype=torch.bool)
    background[0, 0] = True
    config = ProMergeConfig(background_similarity=similarity)
    assert len(prune_one(masks, background, unit, config)) == count


@pytest.mark.parametrize("seed", range(8))
def test_all_stages_are_those_of_plain_loops(seed):
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
def batch():
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


def test_images_of_a_batch_are_pruned_and_merged_as_alone():
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


def test_nothing_to_prune_or_merge_gives_nothing():
    none = torch.zeros(0, 4, 5, dtype=torch.bool)
    unit = torch.zeros(20, 3)
    assert prune_one(none, torch.ones(4, 5, dtype=torch.bool), unit, ProMergeConfig()).shape == (
        0,
        4,
        5,
    )
    merged, cluster = merge_one(none, unit, ProMergeConfig())
    assert merged.shape == (0, 4, 5)
    assert cluster.shape == (0,)


def test_means_of_an_empty_mask_are_zero():
    masks = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert mean_features(masks, torch.ones(4, 3)).tolist() == [[0, 0, 0]]
    assert mean_response(masks, torch.ones(4)).tolist() == [0]
