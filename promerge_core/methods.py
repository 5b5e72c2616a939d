"""The generator of each method."""

from __future__ import annotations

from typing import Any

from .backbone import Backbone
from .config import RefinementConfig
from .generator import MaskGenerator, ProMerge
from .maskcut import MaskCut

_GENERATORS: dict[str, type[Any]] = {"promerge": ProMerge, "maskcut": MaskCut}


def build_generator(method: str, backbone: Backbone, config: RefinementConfig) -> MaskGenerator:
    """The generator of a method of `promerge_core.catalog.METHODS`, with its config."""
    return _GENERATORS[method](backbone, config)
