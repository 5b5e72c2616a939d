"""Mask R-CNN of torchvision's parts."""

from __future__ import annotations

import torch

from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN


def test_images_whose_masks_all_vanished_can_be_trained_on(tiny_recipe):
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0]).train()
    model.choose_by([0, 1])
    image = torch.rand(3, 64, 64)
    empty = {
        "boxes": torch.zeros(0, 4),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
        "labels": torch.zeros(0, dtype=torch.int64),
    }
    losses = model([image, image], [empty, empty])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert losses["loss_mask"].item() == losses["loss_classifier"].item() == 0
