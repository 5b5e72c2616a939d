"""The whole path from pixels to masks on a device that does not mix with the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stand_in import DEVICE, OnDevice, accelerator

from promerge_core import MaskCut, MaskCutConfig, ProMerge, ProMergeConfig
from promerge_core.profile.planted import PlantedBackbone, planted_features
from promerge_core.refinement.permutohedral import spatial_lattice

SIDE = 20
"""Patches along each side of the input."""


@pytest.fixture(autouse=True)
def fresh_lattices():
    """A lattice that another test has left would not be built on this device."""
    spatial_lattice.cache_clear()
    yield
    spatial_lattice.cache_clear()


def planted(instances):
    """Features [B, C, h, w] with so many instances in each image, and the images, of two sizes."""
    features = [planted_features(64, n, seed=n, side=SIDE) for n in instances]
    random = np.random.default_rng(0)
    sizes = [(100 + 20 * (n % 2), 150) for n in instances]
    return torch.stack(features), [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


METHODS = [
    (ProMerge, ProMergeConfig(image_size=8 * SIDE, refine_iou=0.0)),
    (MaskCut, MaskCutConfig(image_size=8 * SIDE, refine_iou=0.0)),
]


def planted_generator(method, config, features):
    return method(PlantedBackbone(features), config)


def outcome(results):
    return [[(mask.segmentation, mask.score) for mask in one] for one in results]


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_the_masks_are_those_of_the_cpu(method, config):
    features, images = planted([2, 0, 5, 1, 4, 7])
    expected = outcome(planted_generator(method, config, features).generate(images))
    assert sum(map(len, expected)) >= 6
    with accelerator():
        generator = planted_generator(method, config, features.to(DEVICE))
        assert outcome(generator.generate(images)) == expected


def test_the_host_waits_as_often_for_many_images_and_masks_as_for_few():
    def counted(instances):
        features, images = planted(instances)
        spatial_lattice.cache_clear()
        with accelerator() as counts:
            generator = planted_generator(*METHODS[0], features.to(DEVICE))
            counts.clear()
            masks = sum(map(len, generator.generate(images)))
        return dict(counts), masks

    few, fewer_masks = counted([2, 3])
    many, more_masks = counted([2, 3, 5, 1, 4, 2, 7])
    assert more_masks >= fewer_masks + 5
    assert many == few


# The stand-in itself ------------------------------------------------------------------------


def test_the_stand_in_refuses_what_a_gpu_refuses():
    with accelerator() as counts:
        there = torch.arange(6).to(DEVICE)
        assert isinstance(there, OnDevice)
        with pytest.raises(RuntimeError, match="of the CPU among others"):
            there + torch.arange(6)
        with pytest.raises(TypeError, match="copy it first"):
            there.numpy()
        assert there.add(torch.tensor(1)).cpu().tolist() == [1, 2, 3, 4, 5, 6]
    assert counts == {"uploads": 1, "downloads": 1}


def test_the_stand_in_counts_what_a_gpu_waits_for():
    with accelerator() as counts:
        there = torch.arange(6, device=DEVICE)
        assert int(there.amax()) == 5
        assert there[there > 3].tolist() == [4, 5]
        assert bool(torch.equal(there, there.clone()))
        assert there[5].item() == 5
    assert counts == {"questions": 4, "downloads": 1}


# A memory that is too small ------------------------------------------------------------------


class SmallMemory(PlantedBackbone):
    """As if the device's memory held only so many images."""

    most = 2

    def forward(self, images):
        """See `Backbone.forward`."""
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(images)


def test_a_batch_that_does_not_fit_is_halved_and_loses_no_image(caplog):
    features, images = planted([2, 3, 5, 1, 4, 2, 7])
    expected = ProMerge(PlantedBackbone(features), METHODS[0][1]).generate(images)
    generator = ProMerge(SmallMemory(features), METHODS[0][1])
    assert outcome(generator.generate(images)) == outcome(expected)
    assert generator.timer.images == len(images)
    assert [record.args[0] for record in caplog.records] == [7, 3]
    generator.generate(images)
    assert len(caplog.records) == 2


def test_a_single_image_that_does_not_fit_is_an_error():
    features, images = planted([2])
    backbone = SmallMemory(features)
    backbone.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        ProMerge(backbone, METHODS[0][1]).generate(images)
