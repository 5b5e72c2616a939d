"""ProMerge on tensors: images -> instance masks, without labels and without FiftyOne."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

if TYPE_CHECKING:
    from promerge_core.backbones.base import Backbone, BackboneError
    from promerge_core.backbones.loading import load_backbone
    from promerge_core.masks.mask import Mask
    from promerge_core.refinement.refine import refine
    from promerge_core.runs.summary import Summary
    from promerge_core.stages.pipeline import NoMasks, Stages, segment_features

    from .config import ConfigError, MaskCutConfig, ProMergeConfig, RefinementConfig
    from .errors import MissingExtraError, PromergeError
    from .generator import ImageMasks, MaskGenerator, ProMerge
    from .images import ImageError, PreparedImage, SkippedImage, open_image, prepare_image
    from .maskcut import MaskCut

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
    "Backbone": "backbones.base",
    "BackboneError": "backbones.base",
    "ConfigError": "config",
    "ImageError": "images",
    "ImageMasks": "generator",
    "Mask": "masks.mask",
    "MaskCut": "maskcut",
    "MaskCutConfig": "config",
    "MaskGenerator": "generator",
    "MissingExtraError": "errors",
    "NoMasks": "stages.pipeline",
    "PreparedImage": "images",
    "ProMerge": "generator",
    "ProMergeConfig": "config",
    "PromergeError": "errors",
    "RefinementConfig": "config",
    "SkippedImage": "images",
    "Stages": "stages.pipeline",
    "Summary": "runs.summary",
    "load_backbone": "backbones.loading",
    "open_image": "images",
    "prepare_image": "images",
    "refine": "refinement.refine",
    "segment_features": "stages.pipeline",
}
__getattr__ = lazy_names(__name__, _HOMES)
