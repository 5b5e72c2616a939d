"""The options of a run: their defaults, and what they allow."""

from __future__ import annotations

import inspect

import pytest

from promerge_core import ConfigError, load_backbone
from promerge_core.options import (
    DEVICES,
    BackboneOptions,
    DeviceOptions,
    MaskOptions,
    RayOptions,
    RunOptions,
)
from promerge_core.registry import BACKBONES

ALL = [BackboneOptions, DeviceOptions, RayOptions, RunOptions, MaskOptions]


def test_a_backbone_is_chosen_as_load_backbone_chooses_it():
    options = BackboneOptions().to_dict()
    options["name"] = options.pop("backbone")
    signature = inspect.signature(load_backbone)
    assert options == {name: one.default for name, one in signature.parameters.items()}


def test_known_backbones_and_devices_are_offered_and_others_allowed():
    offered = {one.name: list(one.suggestions) for one in BackboneOptions.parameters()}
    assert offered["backbone"] == list(BACKBONES)
    assert offered["device"] == list(DEVICES)
    other = BackboneOptions(backbone="timm:vit_tiny_patch16_224", device="cuda:1")
    assert (other.backbone, other.device) == ("timm:vit_tiny_patch16_224", "cuda:1")


def test_the_device_is_declared_once():
    (device,) = DeviceOptions.parameters()
    assert device in list(BackboneOptions.parameters())


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (BackboneOptions, {"dtype": "int8"}),
        (BackboneOptions, {"backbone": None}),
        (RunOptions, {"batch_size": 0}),
        (RunOptions, {"num_workers": -1}),
        (RunOptions, {"overwrite": "no"}),
        (RayOptions, {"shard_size": 0}),
        (RayOptions, {"concurrency": 0}),
        (RayOptions, {"num_gpus": -0.5}),
    ],
)
def test_values_out_of_range_are_refused_by_name(options, values):
    with pytest.raises(ConfigError, match=f"^{next(iter(values))} must be "):
        options(**values)


def test_images_can_be_read_without_a_further_process_and_gpus_be_shared():
    assert RunOptions(num_workers=0).num_workers == 0
    assert RayOptions(num_gpus=0.25, concurrency=1) == RayOptions(128, 1, 0.25)
    assert (RayOptions().concurrency, RayOptions().num_gpus) == (None, None)


def test_how_the_work_is_divided_does_not_decide_about_masks():
    free = {one.name for options in ALL for one in options.parameters() if not one.decides}
    assert free == {"num_workers", "overwrite", "embeddings", "concurrency", "num_gpus"}


@pytest.mark.parametrize("options", ALL)
def test_every_option_says_what_it_means(options):
    for one in options.parameters():
        assert len(one.help) > 10
        assert one.label[0].isupper()
