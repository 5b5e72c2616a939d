"""The generator of each method."""

from __future__ import annotations

import importlib

from promerge_core.backbones.base import Backbone

from .config import RefinementConfig
from .generator import MaskGenerator
from .registry import METHODS


def build_generator(method: str, backbone: Backbone, config: RefinementConfig) -> MaskGenerator:
    """The generator of a method of `METHODS`, with its config."""
    module, name = METHODS[method].generator
    return getattr(importlib.import_module(f".{module}", __package__), name)(backbone, config)
