"""What there is to choose from: methods, backbones, refiners and scores, one entry each.

An entry says all that the commands, forms and docs need to know of it, and where its code is. The
code is imported when it is first used, so that a form or `promerge --help` is there at once.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, Literal

from .parameters import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing to choose.

    Attributes:
        home: where its code is, `module:name` in this package.
        help: one line that says what it is.
        label: its name as a person reads it.
    """

    home: str
    help: str
    label: str = ""

    def load(self) -> Any:
        """What `home` names, imported."""
        return load(self.home)


def load(home: str) -> Any:
    """What `module:name` of this package names, imported."""
    module, name = home.split(":")
    return getattr(importlib.import_module(f".{module}", __package__), name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(Entry):
    """A way to make masks; `home` names its `MaskGenerator`.

    Attributes:
        config_home: where its config is, as `home`.
    """

    config_home: str

    @property
    def config(self) -> Any:
        """The class of its config, a `RefinementConfig`."""
        return load(self.config_home)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneEntry(Entry):
    """A backbone; `home` names what builds it: (name, entry, dtype, weights) -> `Backbone`.

    Attributes:
        needs_weights: whether it needs pretrained weights, from timm's hub or a file.
        devices: types of the devices it can compute on.
        timm_name: the model in timm that it is.
        positions: how position embeddings are interpolated for another grid: as the official
            DINO code does, or as timm does.
        official_weights: where its authors publish its weights.
        descriptor: where the function is that gives a vector per mask, as `home`.
    """

    needs_weights: bool = True
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")
    timm_name: str = ""
    positions: Literal["dino", "timm"] = "timm"
    official_weights: str = ""
    descriptor: str = "descriptors.features:describe_by_features"


@dataclasses.dataclass(frozen=True)
class Preset:
    """Values of ProMerge's parameters that suit a kind of image.

    Attributes:
        help: one line that says which kind.
        values: value by name of each parameter that differs from the default.
    """

    help: str
    values: Mapping[str, Any]


METHODS = {
    "promerge": Method(
        home="generator:ProMerge",
        config_home="config:ProMergeConfig",
        label="ProMerge",
        help="prompt and merge (Li and Shin, ECCV 2024)",
    ),
    "maskcut": Method(
        home="maskcut:MaskCut",
        config_home="config:MaskCutConfig",
        label="MaskCut",
        help="the baseline: iterated normalised cuts (Wang et al., CVPR 2023)",
    ),
}


def _dino(timm_name: str, official: str, help: str, label: str) -> BackboneEntry:
    return BackboneEntry(
        home="backbones.vit:load_vit",
        help=help,
        label=label,
        timm_name=timm_name,
        positions="dino",
        official_weights=f"https://dl.fbaipublicfiles.com/dino/{official}/{official}.pth",
    )


BACKBONES = {
    "dino_vitb8": _dino(
        "vit_base_patch8_224.dino",
        "dino_vitbase8_pretrain",
        "DINO ViT-B/8, as in the paper",
        "DINO ViT-B/8: the best masks, 340 MB download",
    ),
    "dino_vits8": _dino(
        "vit_small_patch8_224.dino",
        "dino_deitsmall8_pretrain",
        "DINO ViT-S/8: a third of the time",
        "DINO ViT-S/8: a third of the time, 90 MB download",
    ),
    "dino_vitb16": _dino(
        "vit_base_patch16_224.dino",
        "dino_vitbase16_pretrain",
        "DINO ViT-B/16: coarser patches",
        "DINO ViT-B/16: coarser patches, 340 MB download",
    ),
    "dino_vits16": _dino(
        "vit_small_patch16_224.dino",
        "dino_deitsmall16_pretrain",
        "DINO ViT-S/16: the fastest",
        "DINO ViT-S/16: the fastest and coarsest, 90 MB download",
    ),
    "embedded": BackboneEntry(
        home="backbones.embedded:load_embedded",
        help="hand-made descriptors: no download, rough masks",
        label="embedded: rough masks, no download",
        needs_weights=False,
        devices=("cpu", "cuda"),
        descriptor="descriptors.appearance:describe_appearance",
    ),
}

TIMM_PREFIX = "timm:"
"""A backbone of this prefix is any other timm ViT."""

OFFLINE_BACKBONE = next(name for name, entry in BACKBONES.items() if not entry.needs_weights)
"""The backbone of the demo, and of whoever has no weights."""

REFINERS = {
    "batched": Entry(
        home="refinement.batched:refine_batched", help="all masks of an image at once, in PyTorch"
    ),
    "pydensecrf": Entry(
        home="refinement.reference:refine_by_pydensecrf", help="the reference, one mask at a time"
    ),
    "ground": Entry(
        home="refinement.ground:refine_by_ground", help="no CRF: what is no plain ground"
    ),
}
"""Implementations of the dense CRF: (images, their masks, config) -> refined masks."""

BACKGROUNDS = {
    "borders": "what most proposals that fill two borders share, as in the paper",
    "plain": "the plain ground, by its colour: for many small objects on one ground",
}
"""What ProMerge takes for background."""

GROUPINGS = ("hdbscan", "kmeans")
"""What finds groups of vectors: HDBSCAN, which finds their number too, and k-means."""

PRESETS = {
    "microscopy": Preset(
        help="many small objects on one plain ground, as cells under a microscope",
        values={
            "image_size": 480,
            "seed_stride": 2,
            "background": "plain",
            "affinity_threshold": -1.0,
            "component_area_ratio": 1.0,
            "background_similarity": 1.0,
            "refiner": "ground",
            "refine_iou": 0.0,
            "split_necks": 0.86,
            "min_relative_area": 0.03,
            "score": "constant",
        },
    ),
}

SCORES = {
    "stability": Entry(
        home="stages.scoring:stability_score", help="IoU of the refinement times compactness"
    ),
    "constant": Entry(home="stages.scoring:constant_score", help="1.0, as in the paper"),
}
"""Scores of masks: (stages, refinement IoU [M]) -> scores [M]."""


def find_backbone(name: str) -> BackboneEntry | None:
    """The entry of a backbone; None where there is none of that name."""
    if name.startswith(TIMM_PREFIX):
        timm_name = name.removeprefix(TIMM_PREFIX)
        return BackboneEntry(home="backbones.vit:load_vit", help="", timm_name=timm_name)
    return BACKBONES.get(name)


def find_preset(name: str) -> Preset:
    """The preset of a name; ConfigError where there is none."""
    if name not in PRESETS:
        raise ConfigError(f"preset must be one of {', '.join(PRESETS)}; got {name!r}")
    return PRESETS[name]


def method_config(method: str, parameters: dict[str, Any]) -> Any:
    """Builds the config of a method, a `RefinementConfig`.

    Args:
        method: a name of `METHODS`.
        parameters: values by name; of ProMerge also `preset`, the name of a preset whose values
            hold where no other is given.

    Returns:
        the config, with defaults for all other parameters.

    Raises:
        ConfigError: the method, the preset or a parameter is unknown, or a parameter is out of its
            range.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    values = dict(parameters)
    preset = values.pop("preset", None)
    if preset is None:
        return METHODS[method].config.from_dict(values)
    if method != "promerge":
        raise ConfigError(f"presets are for the method promerge; got {method!r}")
    return METHODS[method].config.from_preset(preset, **values)
