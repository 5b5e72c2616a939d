"""The registry: every entry has its code, and what it says of it is true."""

from __future__ import annotations

import inspect

import pytest
import timm
import torch

from promerge_core import (
    BackboneError,
    ConfigError,
    MaskCutConfig,
    MaskGenerator,
    ProMergeConfig,
    RefinementConfig,
    load_backbone,
)
from promerge_core.registry import (
    BACKBONES,
    METHODS,
    OFFLINE_BACKBONE,
    PRESETS,
    REFINERS,
    SCORES,
    find_backbone,
    method_config,
)

NEEDY = [name for name, entry in BACKBONES.items() if entry.needs_weights]
OTHERS = [name for name in BACKBONES if name not in NEEDY]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_a_generator_with_its_config(name):
    method = METHODS[name]
    assert issubclass(method.load(), MaskGenerator)
    assert issubclass(method.config, RefinementConfig)
    generator = method.load()(load_backbone(OFFLINE_BACKBONE, "cpu"))
    assert generator.config == method.config()
    assert method.label.lower() == name


@pytest.mark.parametrize(
    ("entries", "arguments"),
    [(REFINERS, ["pixels", "masks", "config"]), (SCORES, ["stages", "refine_iou"])],
    ids=["refiners", "scores"],
)
def test_refiners_and_scores_take_what_they_are_given(entries, arguments):
    for entry in entries.values():
        assert list(inspect.signature(entry.load()).parameters) == arguments


@pytest.mark.parametrize("entries", [METHODS, BACKBONES, REFINERS, SCORES])
def test_every_entry_says_what_it_is_in_a_line_of_its_own(entries):
    lines = [entry.help for entry in entries.values()]
    assert all(10 < len(line) < 80 for line in lines)
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("name", NEEDY)
def test_a_backbone_that_needs_weights_is_a_model_of_timm_with_weights(name):
    assert timm.models.is_model_pretrained(BACKBONES[name].timm_name)


@pytest.mark.parametrize("name", [name for name in NEEDY if name.startswith("dino_")])
def test_a_dino_is_what_its_name_says(name):
    entry = BACKBONES[name]
    assert entry.positions == "dino"
    assert entry.official_weights.startswith("https://dl.fbaipublicfiles.com/dino/")
    assert entry.official_weights.endswith("_pretrain.pth")
    with torch.device("meta"):
        model = timm.create_model(entry.timm_name, num_classes=0)
    size, patch = name.removeprefix("dino_vit")[0], int(name.removeprefix("dino_vit")[1:])
    assert model.patch_embed.patch_size == (patch, patch)
    assert model.embed_dim == {"s": 384, "b": 768}[size]


@pytest.mark.parametrize("name", OTHERS)
def test_a_backbone_that_needs_none_loads_at_once_and_takes_no_file(name, tmp_path):
    backbone = load_backbone(name, "cpu")
    assert backbone.name == name
    assert backbone.device.type in BACKBONES[name].devices
    (tmp_path / "weights.pth").touch()
    with pytest.raises(BackboneError, match="takes no weights file"):
        load_backbone(name, "cpu", weights=tmp_path / "weights.pth")


def test_every_backbone_computes_on_a_cpu_and_one_needs_no_weights():
    assert all("cpu" in entry.devices for entry in BACKBONES.values())
    assert OFFLINE_BACKBONE in OTHERS


def test_any_other_vit_of_timm_is_found_by_its_prefix():
    entry = find_backbone("timm:vit_tiny_patch16_224")
    assert (entry.timm_name, entry.needs_weights) == ("vit_tiny_patch16_224", True)
    assert (entry.positions, entry.official_weights) == ("timm", "")
    assert entry.load() is BACKBONES["dino_vitb8"].load()
    assert find_backbone("dino_vits16") is BACKBONES["dino_vits16"]
    for name in ("", "vit_tiny_patch16_224", "DINO_VITS16", "promerge"):
        assert find_backbone(name) is None


def test_a_preset_is_values_that_others_go_before():
    config = method_config("promerge", {"preset": "microscopy", "image_size": 640})
    expected = {**PRESETS["microscopy"].values, "image_size": 640}
    assert {name: getattr(config, name) for name in expected} == expected
    assert config == ProMergeConfig(**expected)


def test_a_methods_config_is_built_from_values_by_name():
    assert method_config("promerge", {}) == ProMergeConfig()
    assert method_config("maskcut", {"tau": 0.2}) == MaskCutConfig(tau=0.2)


@pytest.mark.parametrize(
    ("method", "values", "said"),
    [
        ("cutler", {}, "^method must be one of promerge, maskcut; got 'cutler'$"),
        ("promerge", {"tau": 0.2}, "^ProMergeConfig has no parameter 'tau'"),
        ("promerge", {"preset": "x"}, "^preset must be one of microscopy; got 'x'$"),
        ("maskcut", {"preset": "microscopy"}, "^presets are for the method promerge"),
        ("maskcut", {"n_masks": 0}, "^n_masks must be between 1 and 100; got 0$"),
    ],
)
def test_unknown_methods_and_parameters_are_refused(method, values, said):
    with pytest.raises(ConfigError, match=said):
        method_config(method, values)
