"""Methods and backbones by name, without what they need to run: a form is there at once."""

from __future__ import annotations

from typing import Any, NamedTuple

from .config import ConfigError, MaskCutConfig, ProMergeConfig, RefinementConfig


class Method(NamedTuple):
    """A method's config, and where its generator is: module and class of this package."""

    config: type[RefinementConfig]
    generator: tuple[str, str]


METHODS = {
    "promerge": Method(ProMergeConfig, ("generator", "ProMerge")),
    "maskcut": Method(MaskCutConfig, ("maskcut", "MaskCut")),
}

DINO_MODELS = {
    "dino_vitb8": ("vit_base_patch8_224.dino", "dino_vitbase8_pretrain"),
    "dino_vits8": ("vit_small_patch8_224.dino", "dino_deitsmall8_pretrain"),
    "dino_vitb16": ("vit_base_patch16_224.dino", "dino_vitbase16_pretrain"),
    "dino_vits16": ("vit_small_patch16_224.dino", "dino_deitsmall16_pretrain"),
}
"""Each DINO backbone's name in timm, and its authors' name for its weights."""

BACKBONES = (*DINO_MODELS, "embedded")


def method_config(method: str, parameters: dict[str, Any]) -> RefinementConfig:
    """The config of a method.

    Raises:
        ConfigError: the method or a parameter is unknown, or a parameter is out of its range.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    return METHODS[method].config.from_dict(parameters)
