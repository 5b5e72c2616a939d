"""Masks on a plain ground: refined to the pixels of the object, without a CRF."""

from __future__ import annotations

import numpy as np
import torch

from promerge_core import ProMergeConfig, refine


def test_a_rough_mask_becomes_the_object_and_leaves_its_neighbour():
    y, x = np.mgrid[:240, :240]
    first = (y - 100) ** 2 + (x - 80) ** 2 <= 30**2
    second = (y - 100) ** 2 + (x - 146) ** 2 <= 30**2
    image = np.where((first | second)[..., None], (180, 90, 120), (230, 230, 225))
    rough = torch.zeros(1, 30, 30, dtype=torch.bool)
    rough[0, 9:16, 7:13] = True
    config = ProMergeConfig(refiner="ground")
    refined, accepted = refine(image.astype(np.uint8), rough, config)
    found = refined[0].numpy()
    assert accepted.tolist() == [True]
    assert (found & first).sum() / (found | first).sum() > 0.9
    assert not (found & second).any()
