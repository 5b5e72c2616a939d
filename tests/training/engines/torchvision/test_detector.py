"""What a trained model finds in images, one by one or together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fiftyone_promerge.training.engines.torchvision.detector import TorchvisionDetector
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN


@pytest.fixture
def detector(tiny_recipe):
    torch.manual_seed(0)
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0]).eval()
    return TorchvisionDetector(model, torch.device("cpu"))


def test_what_is_found_does_not_depend_on_the_other_images_of_a_batch(detector):
    rng = np.random.default_rng(0)
    sizes = [(48, 64), (90, 40), (64, 64), (33, 120)]
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    together = detector.predict(images)
    assert any(together)
    assert together == [detector.predict([image])[0] for image in images]
    assert together == detector.predict(images[::-1])[::-1]


def test_masks_have_the_sizes_of_their_images(detector):
    image = np.zeros((30, 50, 3), np.uint8)
    for mask in detector.predict([image])[0]:
        assert mask.segmentation["size"] == [30, 50]
    assert detector.predict([]) == []
