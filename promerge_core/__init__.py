"""ProMerge on tensors: images -> instance masks, without labels and without FiftyOne."""

from .backbones import Backbone, BackboneError, load_backbone
from .config import ConfigError, ProMergeConfig
from .generator import ImageMasks, ProMerge
from .images import ImageError, PreparedImage, SkippedImage, open_image, prepare_image
from .masks import Mask
from .refinement import MissingExtraError, refine
from .stages import NoMasks, Stages, segment_features
from .summary import Summary

__all__ = [
    "Backbone",
    "BackboneError",
    "ConfigError",
    "ImageError",
    "ImageMasks",
    "Mask",
    "MissingExtraError",
    "NoMasks",
    "PreparedImage",
    "ProMerge",
    "ProMergeConfig",
    "SkippedImage",
    "Stages",
    "Summary",
    "load_backbone",
    "open_image",
    "prepare_image",
    "refine",
    "segment_features",
]
