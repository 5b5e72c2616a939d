"""DropLoss: which proposals get loss zero, and the head's loss against a direct computation."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import fastrcnn_loss

from fiftyone_promerge.training.engines.droploss import droploss_weights
from fiftyone_promerge.training.engines.torchvision.model import _heads
from fiftyone_promerge.training.engines.torchvision.sampling import SeededSampler
from fiftyone_promerge.training.recipes import SMOKE


def iou(one, two):
    left, top = max(one[0], two[0]), max(one[1], two[1])
    right, bottom = min(one[2], two[2]), min(one[3], two[3])
    shared = max(right - left, 0) * max(bottom - top, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return shared / (sum(areas) - shared)


def test_a_proposal_far_from_every_target_is_dropped():
    targets = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 70]])
    predicted = torch.tensor(
        [
            [0.0, 0, 10, 10],  # a target itself
            [9, 9, 19, 19],  # IoU 1 / 199 with the first
            [8, 8, 18, 18],  # IoU 4 / 196 with the first
            [100, 100, 120, 120],  # nowhere
            [55, 40, 65, 60],  # overlaps the second alone
        ]
    )
    assert droploss_weights(predicted, targets, 0.01).tolist() == [1, 0, 1, 0, 1]


def test_the_threshold_itself_is_dropped():
    targets = torch.tensor([[0.0, 0, 10, 10]])
    predicted = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 5.5]])
    assert droploss_weights(predicted, targets, 0.5).tolist() == [0, 1]


def test_random_boxes_against_a_direct_computation():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([corners, corners + 1 + torch.rand(60, 2, generator=generator) * 20], 1)
    predicted, targets = boxes[:50], boxes[50:]
    for threshold in (0.0, 0.01, 0.3):
        expected = [
            float(max(iou(box, target) for target in targets.tolist()) > threshold)
            for box in predicted.tolist()
        ]
        assert 0 < sum(expected) < 50
        assert droploss_weights(predicted, targets, threshold).tolist() == expected


def test_without_targets_everything_is_dropped():
    assert droploss_weights(torch.rand(3, 4), torch.zeros(0, 4), 0.01).tolist() == [0, 0, 0]


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


def heads(droploss_iou):
    schedule = dataclasses.replace(SMOKE.rounds[0], droploss_iou=droploss_iou)
    return _heads(SMOKE, schedule, SeededSampler(4, 0.25, 0))


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
