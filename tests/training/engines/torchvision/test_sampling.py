"""Proposals are sampled by the number of the sample."""

from __future__ import annotations

import pytest
import torch

from fiftyone_promerge.training.engines.torchvision.sampling import SeededSampler


def labels(positives, negatives, ignored=5):
    return torch.tensor([1.0] * positives + [0.0] * negatives + [-1.0] * ignored)


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [(50, 500, (16, 48)), (3, 500, (3, 61)), (50, 20, (16, 20)), (0, 7, (0, 7))],
)
def test_the_sampler_balances_as_torchvisions_does(positives, negatives, expected):
    sampler = SeededSampler(64, 0.25, seed=0)
    sampler.numbers = [12]
    image = labels(positives, negatives)
    (positive,), (negative,) = sampler([image])
    assert (int(positive.sum()), int(negative.sum())) == expected
    assert (image[positive.bool()] == 1).all() and (image[negative.bool()] == 0).all()
    assert sampler.count == sum(expected)


def test_what_is_sampled_depends_on_the_samples_number_alone():
    sampler = SeededSampler(16, 0.5, seed=0)
    images = [labels(50, 50), labels(40, 90)]
    sampler.numbers = [3, 4]
    together = sampler(images)
    torch.manual_seed(9)
    sampler.numbers = [4]
    alone = sampler(images[1:])
    assert torch.equal(together[0][1], alone[0][0]) and torch.equal(together[1][1], alone[1][0])
    sampler.numbers = [5]
    assert not torch.equal(sampler(images[1:])[0][0], alone[0][0])
