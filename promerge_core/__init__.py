"""ProMerge on tensors: images -> instance masks, without labels and without FiftyOne."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

if TYPE_CHECKING:
    from .backbone import Backbone, BackboneError
    from .backbones import load_backbone
    from .config import ConfigError, MaskCutConfig, ProMergeConfig, RefinementConfig
    from .errors import MissingExtraError, PromergeError
    from .generator import ImageMasks, MaskGenerator, ProMerge
    from .images import ImageError, PreparedImage, SkippedImage, open_image, prepare_image
    from .maskcut import MaskCut
    from .masks import Mask
    from .refinement import refine
    from .stages import NoMasks, Stages, segment_features
    from .summary import Summary

__all__ = [
    "Backbone",
    "BackboneError",
    "ConfigError",
    "ImageError",
    "ImageMasks",
    "Mask",
    "MaskCut",
    "MaskCutConfig",
    "MaskGenerator",
    "MissingExtraError",
    "NoMasks",
    "PreparedImage",
    "ProMerge",
    "ProMergeConfig",
    "PromergeError",
    "RefinementConfig",
    "SkippedImage",
    "Stages",
    "Summary",
    "load_backbone",
    "open_image",
    "prepare_image",
    "refine",
    "segment_features",
]

_HOMES = {
    "Backbone": "backbone",
    "BackboneError": "backbone",
    "ConfigError": "config",
    "ImageError": "images",
    "ImageMasks": "generator",
    "Mask": "masks",
    "MaskCut": "maskcut",
    "MaskCutConfig": "config",
    "MaskGenerator": "generator",
    "MissingExtraError": "errors",
    "NoMasks": "stages",
    "PreparedImage": "images",
    "ProMerge": "generator",
    "ProMergeConfig": "config",
    "PromergeError": "errors",
    "RefinementConfig": "config",
    "SkippedImage": "images",
    "Stages": "stages",
    "Summary": "summary",
    "load_backbone": "backbones",
    "open_image": "images",
    "prepare_image": "images",
    "refine": "refinement",
    "segment_features": "stages",
}
__getattr__ = lazy_names(__name__, _HOMES)
