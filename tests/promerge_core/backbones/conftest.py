"""Fixtures of the backbones' tests: seeded weights of small ViTs, pictures."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from promerge_core import load_backbone


@pytest.fixture(scope="package")
def weights_of(seed_weights):
    """Seeded weights of a timm model, by parameter."""

    def make(timm_name, **options):
        with torch.device("meta"):
            model = timm.create_model(timm_name, num_classes=0, **options)
        return seed_weights(model)

    return make


@pytest.fixture(scope="package")
def small(weights_of):
    """Seeded weights of DINO's ViT-S/16."""
    return weights_of("vit_small_patch16_224.dino")


@pytest.fixture(scope="package")
def small_file(small, tmp_path_factory):
    """The same as a .pth file."""
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(small, path)
    return path


@pytest.fixture
def pictures():
    """Three images of 96 x 96 pixels."""
    return np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)


@pytest.fixture(scope="package")
def load_small():
    """Loads DINO's ViT-S/16 with weights from a file."""

    def load(path):
        return load_backbone("dino_vits16", device="cpu", dtype="float32", weights=path)

    return load
