"""The methods that make masks, by name."""

from __future__ import annotations

from typing import Any, NamedTuple

from .backbone import Backbone
from .config import ConfigError, MaskCutConfig, ProMergeConfig, RefinementConfig
from .generator import MaskGenerator, ProMerge
from .maskcut import MaskCut


class Method(NamedTuple):
    """A generator and the config it takes."""

    generator: type[Any]
    config: type[RefinementConfig]


METHODS = {
    "promerge": Method(ProMerge, ProMergeConfig),
    "maskcut": Method(MaskCut, MaskCutConfig),
}


def method_config(method: str, parameters: dict[str, Any]) -> RefinementConfig:
    """The config of a method.

    Raises:
        ConfigError: the method or a parameter is unknown, or a parameter is out of its range.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    return METHODS[method].config.from_dict(parameters)


def build_generator(method: str, backbone: Backbone, config: RefinementConfig) -> MaskGenerator:
    """The generator of a method."""
    return METHODS[method].generator(backbone, config)
