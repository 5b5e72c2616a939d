"""ProMerge on tensors: images -> instance masks, without labels and without FiftyOne."""

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
