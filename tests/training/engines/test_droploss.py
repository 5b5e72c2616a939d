"""DropLoss: which proposals get loss zero."""

from __future__ import annotations

import torch

from fiftyone_promerge.training.engines.droploss import droploss_weights


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
