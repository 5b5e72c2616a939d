"""MaskCut against the official code's results and against scipy's dense solver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from promerge_core import MaskCut, MaskCutConfig, NoMasks, load_backbone
from promerge_core.maskcut import cut_features, foreground, second_eigenvector
from promerge_core.masks.overlap import mask_iou
from promerge_core.stages.prompting import unit_features

NAMES = ["coco_000000025603", "coco_000000030213", "coco_000000056344"]


def blobs(seed: int, side: int = 16) -> torch.Tensor:
    """Features of a background and three squares, float32 [24, side, side]."""
    random = np.random.default_rng(seed)
    features = np.tile(random.standard_normal(24), (side, side, 1))
    for corner in (1, 6, 11):
        features[corner : corner + 4, corner : corner + 4] = random.standard_normal(24)
    features += 0.3 * random.standard_normal(features.shape)
    return torch.from_numpy(features.astype(np.float32)).permute(2, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_official_masks(shared_dir: Path, name: str):
    vectors = np.load(shared_dir / "reference" / "maskcut" / f"maskcut_{name}.npz")
    features = np.load(shared_dir / "reference" / "promerge" / f"{name}.npz")["features"]
    official = np.unpackbits(vectors["masks_480"], axis=1)[:, : 480 * 480]
    official = torch.from_numpy(official.reshape(-1, 480, 480).astype(bool))
    official = official[official.flatten(1).any(1)][:, ::8, ::8]

    masks = cut_features(torch.from_numpy(features.astype(np.float32)))

    assert len(masks) == len(official)
    assert (mask_iou(masks, official) >= 0.99).all()


@pytest.mark.parametrize("name", NAMES)
def test_first_cut_is_the_official_one_for_either_sign(shared_dir: Path, name: str):
    vectors = np.load(shared_dir / "reference" / "maskcut" / f"maskcut_{name}.npz")
    official = torch.from_numpy(np.unpackbits(vectors["masks_480"], axis=1)[0, : 480 * 480])
    official = official.reshape(480, 480)[::8, ::8].bool()
    vector = torch.from_numpy(vectors["eigenvectors"][0])
    canonical = vector * vector.flatten()[vector.abs().argmax()].sign()
    assert torch.equal(foreground(canonical), official)


@pytest.mark.parametrize("seed", range(4))
def test_eigenvector_is_the_dense_solvers(seed: int):
    unit = unit_features(blobs(seed))
    affinity = torch.where(unit @ unit.T > 0.15, 1.0, 1e-5).double().numpy()
    degree = np.diag(affinity.sum(1))
    _, dense = scipy.linalg.eigh(degree - affinity, degree, subset_by_index=[1, 1])
    vector = second_eigenvector(unit, 0.15).numpy()
    cosine = vector @ dense[:, 0] / np.linalg.norm(dense[:, 0])
    assert abs(cosine) > 1 - 1e-6
    assert vector[np.abs(vector).argmax()] > 0


@pytest.mark.parametrize("seed", range(4))
def test_masks_do_not_overlap_and_are_at_most_n(seed: int):
    masks = cut_features(blobs(seed), MaskCutConfig(n_masks=2))
    assert 1 <= len(masks) <= 2
    assert masks.sum(0).max() <= 1


def test_generates_masks_at_the_images_own_size():
    random = np.random.default_rng(0)
    image = np.full((100, 140, 3), 200, np.uint8)
    image[30:70, 40:100] = (20, 90, 160)
    image += random.integers(0, 6, image.shape, dtype=np.uint8)
    generator = MaskCut(load_backbone("embedded"), MaskCutConfig(image_size=240))
    (masks,) = generator.generate([image])
    assert masks or masks.reason is NoMasks.ALL_REJECTED
    for mask in masks:
        assert mask.segmentation["size"] == [100, 140]
        assert mask.score == 1.0
