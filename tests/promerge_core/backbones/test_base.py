"""What every backbone shares: how pixels are normalised, and where features are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core import load_backbone
from promerge_core.backbones.embedded import EmbeddedBackbone


def test_pixels_are_normalised_with_imagenets_numbers(pictures):
    backbone = load_backbone("embedded", "cpu")
    found = backbone.normalise(pictures)
    pixels = pictures.transpose(0, 3, 1, 2) / 255
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    assert found.dtype == torch.float32
    assert np.allclose(found, (pixels - mean) / std, atol=1e-5)
    turned = pictures.transpose(0, 3, 1, 2)
    assert torch.equal(backbone.normalise(turned), found)
    assert torch.equal(backbone.normalise(torch.from_numpy(pictures)), found)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((96, 96, 3), np.uint8),
        np.zeros((1, 96, 96, 4), np.uint8),
        np.zeros((1, 96, 96), np.uint8),
        np.zeros((1, 96, 96, 3), np.float32),
    ],
    ids=["no batch", "four channels", "grey", "float"],
)
def test_batches_of_another_type_or_shape_are_refused(images):
    with pytest.raises(ValueError, match="images must be uint8"):
        load_backbone("embedded", "cpu").normalise(images)


@pytest.mark.parametrize(("where", "expected"), [("mps", "cpu"), ("cuda:1", "cuda:1")])
def test_features_are_where_the_backbone_is_but_not_on_apples_gpus(where, expected):
    class Elsewhere(EmbeddedBackbone):
        device = torch.device(where)

    assert EmbeddedBackbone().features_device == torch.device("cpu")
    assert Elsewhere().features_device == torch.device(expected)
