"""The heads' loss against a direct computation, and masks of large photos."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import fastrcnn_loss

from fiftyone_promerge.training.engines.torchvision.architectures import ARCHITECTURES
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN, _heads
from fiftyone_promerge.training.engines.torchvision.sampling import SeededSampler
from fiftyone_promerge.training.recipes import SMOKE


@pytest.fixture
def outputs():
    """Logits and box deltas of 2 x 3 proposals, the proposals, their labels, the targets."""
    proposals = [
        torch.tensor([[0.0, 0, 20, 20], [60, 60, 80, 80], [5, 5, 22, 22]]),
        torch.tensor([[30.0, 30, 50, 50], [0, 0, 9, 9], [31, 29, 52, 50]]),
    ]
    targets = [
        {"boxes": torch.tensor([[2.0, 2, 21, 21]])},
        {"boxes": torch.tensor([[30.0, 30, 50, 52]])},
    ]
    labels = [torch.tensor([1, 0, 0]), torch.tensor([1, 0, 0])]
    logits = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    return logits, torch.zeros(6, 8), proposals, labels, targets


def heads(droploss_iou, classes=2):
    schedule = dataclasses.replace(SMOKE.rounds[0], droploss_iou=droploss_iou)
    return _heads(ARCHITECTURES["mask_rcnn"], SMOKE, schedule, SeededSampler(4, 0.25, 0), classes)


def test_the_heads_loss_is_the_mean_over_all_proposals_with_dropped_ones_0(outputs):
    logits, _, _, labels, _ = outputs
    # With deltas of 0 a box is its proposal: the second of the first image and the second of the
    # second one overlap no target.
    weights = torch.tensor([1.0, 0, 1, 1, 0, 1])
    expected = (F.cross_entropy(logits, torch.cat(labels), reduction="none") * weights).sum() / 6
    torch.testing.assert_close(heads(0.01)._class_loss(*outputs), expected)


def test_without_droploss_it_is_torchvisions_loss(outputs):
    logits, deltas, _, labels, _ = outputs
    expected, _ = fastrcnn_loss(logits, deltas, labels, [torch.zeros(3, 4)] * 2)
    torch.testing.assert_close(heads(None)._class_loss(*outputs), expected)


def test_the_predicted_box_counts_and_not_the_proposal(outputs):
    logits, deltas, proposals, labels, targets = outputs
    moved = deltas.clone()
    moved[1, 4:6] = -30.0  # x and y of the object's box, in tenths of its size: onto the target
    before = heads(0.01)._class_loss(logits, deltas, proposals, labels, targets)
    after = heads(0.01)._class_loss(logits, moved, proposals, labels, targets)
    expected = F.cross_entropy(logits[1:2], torch.tensor([0])) / 6
    torch.testing.assert_close(after - before, expected)


def test_of_several_classes_the_box_of_the_likeliest_counts(outputs):
    _, _, proposals, labels, targets = outputs
    logits = torch.zeros(6, 4)
    logits[:, 2] = 1
    deltas = torch.zeros(6, 16)
    before = heads(0.01, 4)._class_loss(logits, deltas, proposals, labels, targets)
    deltas[1, 4:6] = -30.0  # of the first class: nothing changes
    same = heads(0.01, 4)._class_loss(logits, deltas, proposals, labels, targets)
    assert torch.equal(same, before)
    deltas[1, 8:10] = -30.0  # of the second one: onto the target
    after = heads(0.01, 4)._class_loss(logits, deltas, proposals, labels, targets)
    expected = F.cross_entropy(logits[1:2], torch.tensor([0])) / 6
    torch.testing.assert_close(after - before, expected)


@pytest.fixture
def model(tiny_recipe):
    return MaskRCNN(tiny_recipe, tiny_recipe.rounds[0])


def test_large_photos_are_pasted_in_parts_with_the_same_result(model, monkeypatch):
    module = "fiftyone_promerge.training.engines.pasting"
    model.eval()
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(6, 2, generator=generator) * 20
    boxes = torch.cat([corners, corners + 4 + torch.rand(6, 2, generator=generator) * 20], 1)
    masks = torch.rand(6, 1, 28, 28, generator=generator)

    def paste(pixels):
        monkeypatch.setattr(f"{module}._MAX_PASTED_PIXELS", pixels)
        result = [{"boxes": boxes, "scores": torch.linspace(1, 0.5, 6), "masks": masks}]
        result[0]["labels"] = torch.ones(6, dtype=torch.int64)
        return model.transform.postprocess(result, [(48, 48)], [(96, 72)])[0]["masks"]

    whole, parts = paste(2**26), paste(1)
    assert whole == parts and len(whole) == 6
    assert whole[0].segmentation["size"] == [96, 72]
    assert np.isclose([mask.score for mask in whole], np.linspace(1, 0.5, 6)).all()
