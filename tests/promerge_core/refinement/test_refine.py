"""Refinement by any refiner: holes, acceptance, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core import ProMergeConfig, refine
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.rle import encode_rle
from promerge_core.refinement.refine import refine_with_iou


def test_reference_masks_get_their_final_size_as_officially(vector):
    height, width = (int(side) for side in vector["original_size"])
    final = resize_masks(vector["refined_480"][vector["accepted"]], width, height)
    assert encode_rle(final) == vector["final_rle"]


def test_holes_are_filled(backend):
    image = np.full((64, 64, 3), 100, np.uint8)
    image[24:40, 24:40] = (250, 0, 0)
    ring = torch.zeros(1, 16, 16, dtype=torch.bool)
    ring[0, 2:14, 2:14] = True
    ring[0, 6:10, 6:10] = False
    refined, _ = refine(image, ring, backend=backend)
    assert refined[0, 24:40, 24:40].all()


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


def test_no_masks_give_none(photo, backend):
    refined, accepted = refine(photo, torch.zeros(0, 16, 16, dtype=torch.bool), backend=backend)
    assert refined.shape == (0, 64, 64)
    assert accepted.shape == (0,)


def test_the_backend_can_come_from_the_config(photo, coarse, backend):
    by_config, _ = refine(photo, coarse[:2], ProMergeConfig(refiner=backend))
    by_argument, _ = refine(photo, coarse[:2], backend=backend)
    assert torch.equal(by_config, by_argument)


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
