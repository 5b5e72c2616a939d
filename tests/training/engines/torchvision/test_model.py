"""The parts of the torchvision engine: sampling by number, initial weights, large photos."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models import resnet50

from fiftyone_promerge.training.engines.torchvision.lightning_module import load_resnet
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN
from fiftyone_promerge.training.engines.torchvision.sampling import SeededSampler
from promerge_core import PromergeError


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


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(1)
    return resnet50(weights=None).state_dict()


@pytest.fixture
def model(tiny_recipe):
    return MaskRCNN(tiny_recipe, tiny_recipe.rounds[0])


@pytest.mark.parametrize("wrapping", ["torchvision", "official", "checkpoint"])
def test_dinos_weights_load_in_every_wrapping(resnet, model, tmp_path, wrapping):
    path = tmp_path / "dino.pth"
    content = {
        "torchvision": resnet,
        "official": {name: value for name, value in resnet.items() if not name.startswith("fc.")},
        "checkpoint": {
            "epoch": 3,
            "teacher": {f"module.backbone.{name}": value for name, value in resnet.items()}
            | {"module.head.mlp.0.weight": torch.zeros(2)},
        },
    }[wrapping]
    torch.save(content, path)
    load_resnet(model, path)
    for name, value in model.backbone.body.state_dict().items():
        assert torch.equal(value, resnet[name]), name


def test_another_networks_weights_are_one_sentence(resnet, model, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({**resnet, "conv1.weight": torch.zeros(8, 3, 7, 7)}, path)
    with pytest.raises(
        PromergeError, match=r"other\.pth is of another arch.*shape \(conv1\.weight"
    ):
        load_resnet(model, path)


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
        return model.transform.postprocess(result, [(48, 48)], [(96, 72)])[0]["masks"]

    whole, parts = paste(2**26), paste(1)
    assert whole == parts and len(whole) == 6
    assert whole[0].segmentation["size"] == [96, 72]
    assert np.isclose([mask.score for mask in whole], np.linspace(1, 0.5, 6)).all()


def test_images_whose_masks_all_vanished_can_be_trained_on(model):
    model.train()
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
