"""Images -> masks: what a user of the core gets."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from promerge_core import (
    ConfigError,
    ImageError,
    MaskCut,
    MaskCutConfig,
    MissingExtraError,
    NoMasks,
    ProMerge,
    ProMergeConfig,
    Summary,
    load_backbone,
)

SIZES = [(90, 120), (61, 47), (200, 160), (96, 96), (33, 401)]


@pytest.fixture(scope="module")
def embedded():
    return load_backbone("embedded", device="cpu")


@pytest.fixture(scope="module")
def generator(embedded):
    return ProMerge(embedded, ProMergeConfig(image_size=96, seed_stride=2))


@pytest.fixture(scope="module")
def images(scene):
    return [scene(*size, seed=seed) for seed, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def results(generator, images):
    return generator.generate(images)


def noise(side=96):
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def test_boxes_of_a_scene_are_found_at_the_images_own_size(results):
    for (height, width), masks in zip(SIZES, results, strict=True):
        assert (masks.width, masks.height, masks.reason) == (width, height, None)
        red = np.zeros((height, width), bool)
        red[height // 4 : height // 2, width // 4 : width // 2] = True
        ious = [(mask.to_array() & red).sum() / (mask.to_array() | red).sum() for mask in masks]
        assert max(ious) > 0.7


def test_each_mask_is_sound(results):
    for (height, width), masks in zip(SIZES, results, strict=True):
        for mask in masks:
            array = mask.to_array()
            rows, columns = np.flatnonzero(array.any(1)), np.flatnonzero(array.any(0))
            box = (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)
            assert mask.segmentation["size"] == [height, width]
            assert mask.bbox == box == tuple(coco_mask.toBbox(mask.segmentation))
            assert mask.area == array.sum() == coco_mask.area(mask.segmentation)
            assert 0 < mask.score <= 1
            assert mask.facts["votes"] >= 1
            assert 0.5 <= mask.facts["refine_iou"] <= 1
            assert -1 <= mask.facts["background_similarity"] <= 1


def test_masks_come_best_first(results):
    for masks in results:
        scores = [mask.score for mask in masks]
        assert scores == sorted(scores, reverse=True)


def test_a_batch_gives_what_its_images_give_alone(generator, images, results):
    assert [generator.generate([image])[0] for image in images] == results


@pytest.fixture(scope="module")
def vit(tmp_path_factory, seed_weights):
    """A small ViT with seeded weights."""
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    with torch.device("meta"):
        model = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    torch.save(seed_weights(model), path)
    return load_backbone("timm:vit_tiny_patch16_224", "cpu", "float32", path)


def test_a_vits_batch_gives_what_its_images_give_alone(vit, images):
    generator = ProMerge(vit, ProMergeConfig(image_size=192, seed_stride=1, affinity_threshold=0.9))
    together = generator.generate(images[:3])
    assert all(together)
    for image, expected in zip(images, together, strict=False):
        (masks,) = generator.generate([image])
        assert [mask.segmentation for mask in masks] == [mask.segmentation for mask in expected]


def test_the_same_images_give_the_same_masks(generator, images, results):
    assert generator.generate(images) == results


def test_images_may_be_of_any_kind(generator, images, results):
    image = Image.fromarray(images[0])
    assert generator.generate([image, image.convert("RGBA")]) == [results[0], results[0]]


def test_images_are_left_as_they_were(generator, images):
    before = images[0].copy()
    generator.generate([images[0]])
    assert np.array_equal(images[0], before)


def test_prepared_images_give_the_same(generator, images, results):
    prepared = [generator.prepare(image) for image in images]
    assert generator.generate_prepared(prepared) == results


def test_no_images_give_no_results(generator):
    assert generator.generate([]) == []
    assert generator.generate_prepared([]) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 12000), (12000, 1), (2, 3)])
def test_tiny_and_long_images_do_not_fail(generator, size):
    (masks,) = generator.generate([np.full((*size, 3), 90, np.uint8)])
    assert masks.reason is NoMasks.NO_PROPOSALS
    assert (masks.height, masks.width) == size


def test_masks_of_a_long_image_have_its_size(generator, scene):
    (masks,) = generator.generate([scene(12, 3000)])
    assert all(mask.to_array().shape == (12, 3000) for mask in masks)
    assert masks or masks.reason is not None


# Reasons -----------------------------------------------------------------------------------------


CHESSBOARD = np.kron((np.indices((12, 12)).sum(0) % 2 * 255)[..., None], np.ones((8, 8, 3)))
CONSTANT = np.full((96, 96, 3), 100)


@pytest.mark.parametrize(
    ("image", "parameters", "reason"),
    [
        (CONSTANT, {}, NoMasks.NO_PROPOSALS),
        (noise(), {"min_background_fraction": 1.0}, NoMasks.SMALL_BACKGROUND),
        (noise(), {"background_similarity": -1.0}, NoMasks.ALL_PRUNED),
        (CHESSBOARD, {}, NoMasks.ALL_REJECTED),
    ],
    ids=lambda value: value.value if isinstance(value, NoMasks) else "",
)
def test_the_reason_for_no_masks_is_said(embedded, image, parameters, reason):
    config = ProMergeConfig(image_size=96, **parameters)
    (masks,) = ProMerge(embedded, config).generate([image.astype(np.uint8)])
    assert masks.reason is reason
    assert list(masks) == []
    assert (masks.height, masks.width) == (96, 96)


def test_noise_has_no_background_for_a_vit(vit):
    config = ProMergeConfig(image_size=224, affinity_threshold=0.999)
    (masks,) = ProMerge(vit, config).generate([noise(224)])
    assert masks.reason is NoMasks.NO_BACKGROUND


@pytest.mark.parametrize("image", [CONSTANT, np.zeros((96, 96, 3))], ids=["constant", "black"])
def test_a_constant_image_has_no_cut(embedded, image):
    generator = MaskCut(embedded, MaskCutConfig(image_size=96))
    (masks,) = generator.generate([image.astype(np.uint8)])
    assert masks.reason is NoMasks.NO_CUT
    assert list(masks) == []


def test_masks_and_a_reason_exclude_each_other(generator):
    for image in (CONSTANT.astype(np.uint8), noise()):
        (masks,) = generator.generate([image])
        assert (len(masks) > 0) == (masks.reason is None)


def test_constant_scores_are_one(embedded, images):
    config = ProMergeConfig(image_size=96, seed_stride=2, score="constant")
    (masks,) = ProMerge(embedded, config).generate(images[:1])
    assert {mask.score for mask in masks} == {1.0}


def test_results_can_be_copied_and_sent_to_another_process(results):
    for again in (pickle.loads(pickle.dumps(results[0])), copy.deepcopy(results[0])):
        assert again == results[0]
        assert (again.width, again.height, again.reason) == (120, 90, None)


def test_both_refiners_give_the_same_masks(embedded, images, results):
    config = ProMergeConfig(image_size=96, seed_stride=2, refiner="pydensecrf")
    try:
        (masks,) = ProMerge(embedded, config).generate(images[:1])
    except MissingExtraError:
        pytest.skip("the extra 'pydensecrf' is not installed")
    for mask, expected in zip(masks, results[0], strict=True):
        iou = coco_mask.iou([mask.segmentation], [expected.segmentation], [0])
        assert iou.item() > 0.99


# What is refused, and what is counted ------------------------------------------------------------


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9, 3), np.float32), np.zeros((3, 9, 9), np.uint8), np.zeros(9, np.uint8)]
)
def test_arrays_that_are_no_images_are_refused(generator, image):
    with pytest.raises(ImageError):
        generator.generate([image])


@pytest.mark.parametrize(("size", "used"), [(96, 96), (97, 96), (103, 96), (104, 104)])
def test_input_is_a_multiple_of_the_patch(embedded, size, used):
    generator = ProMerge(embedded, ProMergeConfig(image_size=size))
    assert embedded.patch_size == 8
    assert generator.input_size == used
    assert generator.prepare(noise()).pixels.shape == (used, used, 3)


def test_an_input_of_less_than_two_patches_is_refused(embedded, monkeypatch):
    monkeypatch.setattr(embedded, "patch_size", 32)
    with pytest.raises(ConfigError, match=r"image_size 63 is too small .* use at least 64"):
        ProMerge(embedded, ProMergeConfig(image_size=63))


def test_summary_counts_images_masks_and_reasons(results, generator):
    summary = Summary()
    (empty,) = generator.generate([CONSTANT.astype(np.uint8)])
    for masks in [*results, empty, empty]:
        summary.add(masks)
    assert (summary.images, summary.masks) == (len(SIZES) + 2, sum(map(len, results)))
    assert summary.reasons == {"no_proposals": 2}
    assert Summary.from_dict(summary.to_dict()) == summary


def test_seconds_of_every_stage_are_counted(embedded, images):
    generator = ProMerge(embedded, ProMergeConfig(image_size=96, seed_stride=2))
    generator.generate(images[:2])
    assert generator.timer.images == 2
    assert set(generator.timer.seconds) == {"prepare", "backbone", "stages", "refine", "encode"}
    assert min(generator.timer.seconds.values()) > 0
    generator.timer.reset()
    assert (generator.timer.images, dict(generator.timer.seconds)) == (0, {})
