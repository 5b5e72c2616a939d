"""The dense CRF for all masks at once against the official results."""

from __future__ import annotations

import torch

from promerge_core import refine
from promerge_core.masks.overlap import mask_iou


def same(found, expected):
    """IoU of masks pair by pair, where two empty ones are the same."""
    iou = mask_iou(found, torch.from_numpy(expected))
    return torch.where((~found).flatten(1).all(1) & ~torch.from_numpy(expected.any((1, 2))), 1, iou)


def test_reference_masks_are_refined_as_officially(vector):
    refined, accepted = refine(vector["image_480"], torch.from_numpy(vector["merged"]))
    assert refined.shape == vector["refined_480"].shape
    assert (same(refined, vector["refined_480"]) >= 0.999).all()
    assert accepted.tolist() == vector["accepted"].tolist()


def test_masks_are_refined_independently_of_one_another(photo, coarse):
    together, _ = refine(photo, coarse)
    for index in (0, 7, 8, 10):
        alone, _ = refine(photo, coarse[index : index + 1])
        assert torch.equal(alone[0], together[index])
