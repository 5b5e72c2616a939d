"""The dense CRF against the official results and against pydensecrf itself."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch
from scipy import ndimage

from promerge_core import MissingExtraError, ProMergeConfig, refine
from promerge_core.masks.overlap import mask_iou
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.rle import encode_rle
from promerge_core.refinement.refine import refine_with_iou

BACKENDS = ["batched", "pydensecrf"]
pydensecrf = pytest.importorskip("pydensecrf", reason="the extra 'pydensecrf' is not installed")


@pytest.fixture(scope="module")
def photo():
    """A piecewise smooth picture of 64 x 64 pixels with some noise."""
    rng = np.random.default_rng(8)
    smooth = ndimage.gaussian_filter(rng.random((64, 64, 3)), (6, 6, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return (np.round(smooth * 6) * 40 + rng.integers(0, 9, smooth.shape)).clip(0, 255).astype("u1")


@pytest.fixture(scope="module")
def coarse():
    """11 random masks, more than one chunk of the solver."""
    noise = np.random.default_rng(9).random((11, 16, 16))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, 2, 2)) > 0.5)


def same(found, expected):
    """IoU of masks pair by pair, where two empty ones are the same."""
    iou = mask_iou(found, torch.from_numpy(expected))
    return torch.where((~found).flatten(1).all(1) & ~torch.from_numpy(expected.any((1, 2))), 1, iou)


def test_reference_masks_are_refined_as_officially(vector):
    refined, accepted = refine(vector["image_480"], torch.from_numpy(vector["merged"]))
    assert refined.shape == vector["refined_480"].shape
    assert (same(refined, vector["refined_480"]) >= 0.999).all()
    assert accepted.tolist() == vector["accepted"].tolist()


def test_pydensecrf_refines_reference_masks_as_officially(vector):
    merged = torch.from_numpy(vector["merged"][:1])
    refined, accepted = refine(vector["image_480"], merged, backend="pydensecrf")
    assert np.array_equal(refined, vector["refined_480"][:1])
    assert accepted.tolist() == vector["accepted"][:1].tolist()


def test_reference_masks_get_their_final_size_as_officially(vector):
    height, width = (int(side) for side in vector["original_size"])
    final = resize_masks(vector["refined_480"][vector["accepted"]], width, height)
    assert encode_rle(final) == vector["final_rle"]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"crf_iterations": 1},
        {"crf_gaussian_sxy": 1.0, "crf_gaussian_compat": 3.0},
        {"crf_bilateral_sxy": 20.0, "crf_bilateral_srgb": 13.0, "crf_bilateral_compat": 4.0},
        {"crf_bilateral_compat": 0.0},
        {"crf_gaussian_compat": 0.0},
    ],
    ids=str,
)
def test_both_backends_agree(photo, coarse, parameters):
    config = ProMergeConfig(**parameters)
    batched, accepted = refine(photo, coarse, config)
    reference, expected = refine(photo, coarse, config, backend="pydensecrf")
    assert (batched != reference).sum() <= 1e-4 * batched.numel()
    assert accepted.tolist() == expected.tolist()
    upsampled = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert not torch.equal(batched, upsampled)


def test_masks_are_refined_independently_of_one_another(photo, coarse):
    together, _ = refine(photo, coarse)
    for index in (0, 7, 8, 10):
        alone, _ = refine(photo, coarse[index : index + 1])
        assert torch.equal(alone[0], together[index])


@pytest.mark.parametrize("backend", BACKENDS)
def test_holes_are_filled(backend):
    image = np.full((64, 64, 3), 100, np.uint8)
    image[24:40, 24:40] = (250, 0, 0)
    ring = torch.zeros(1, 16, 16, dtype=torch.bool)
    ring[0, 2:14, 2:14] = True
    ring[0, 6:10, 6:10] = False
    refined, _ = refine(image, ring, backend=backend)
    assert refined[0, 24:40, 24:40].all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mask_that_the_image_contradicts_is_not_accepted(backend):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    speck = torch.zeros(1, 16, 16, dtype=torch.bool)
    speck[0, 8, 4] = True
    refined, accepted = refine(image, speck, backend=backend)
    assert not refined.any()
    assert accepted.tolist() == [False]


def test_acceptance_is_the_iou_with_the_unrefined_mask(photo, coarse):
    refined, iou = refine_with_iou(photo, coarse)
    upsampled = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    expected = [
        (r & u).sum().item() / (r | u).sum().item() for r, u in zip(refined, upsampled, strict=True)
    ]
    assert iou.tolist() == pytest.approx(expected, abs=1e-12)
    middle = sorted(expected)[5]
    assert refine(photo, coarse, ProMergeConfig(refine_iou=middle))[1].sum() == 6
    assert refine(photo, coarse, ProMergeConfig(refine_iou=0))[1].all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_masks_give_none(photo, backend):
    refined, accepted = refine(photo, torch.zeros(0, 16, 16, dtype=torch.bool), backend=backend)
    assert refined.shape == (0, 64, 64)
    assert accepted.shape == (0,)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_backend_can_come_from_the_config(photo, coarse, backend):
    by_config, _ = refine(photo, coarse[:2], ProMergeConfig(refiner=backend))
    by_argument, _ = refine(photo, coarse[:2], backend=backend)
    assert torch.equal(by_config, by_argument)


def test_grid_and_image_need_not_be_square(photo, coarse):
    refined, _ = refine(photo[:32], coarse[:3, :8])
    reference, _ = refine(photo[:32], coarse[:3, :8], backend="pydensecrf")
    assert refined.shape == (3, 32, 64)
    assert (refined != reference).sum() <= 2


def test_image_may_be_a_tensor_of_any_layout(photo, coarse):
    expected, _ = refine(photo, coarse[:2])
    layouts = (
        torch.from_numpy(photo),
        torch.from_numpy(photo.transpose(2, 0, 1).copy()).permute(1, 2, 0),
        photo[:, ::-1].copy()[:, ::-1].copy(),
    )
    for layout in layouts:
        assert torch.equal(refine(layout, coarse[:2])[0], expected)
    turned = layouts[1]
    assert torch.equal(refine(turned, coarse[:2], backend="pydensecrf")[0], expected)


def test_inputs_are_left_as_they_were(photo, coarse):
    image, masks = photo.copy(), coarse.clone()
    refine(image, masks)
    assert np.array_equal(image, photo)
    assert torch.equal(masks, coarse)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((3, 64, 64), np.uint8),
        np.zeros((64, 64, 3), np.float32),
    ],
    ids=["grey", "four channels", "channels first", "float"],
)
def test_images_of_another_shape_or_type_are_refused(image, coarse):
    with pytest.raises(ValueError, match=r"image must be uint8 \[S, S, 3\]"):
        refine(image, coarse)


def test_a_grid_that_does_not_divide_the_image_is_refused(photo):
    with pytest.raises(ValueError, match="do not divide"):
        refine(photo, torch.zeros(1, 15, 16, dtype=torch.bool))


def test_unknown_backend_is_refused(photo, coarse):
    with pytest.raises(ValueError, match="batched, pydensecrf"):
        refine(photo, coarse, backend="gpu")


def test_missing_pydensecrf_names_the_extra(photo, coarse, monkeypatch):
    def find(name, *args):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", find)
    with pytest.raises(MissingExtraError, match=r"fiftyone-promerge\[pydensecrf\]"):
        refine(photo, coarse, backend="pydensecrf")
