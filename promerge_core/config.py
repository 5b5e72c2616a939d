"""Every parameter of ProMerge and MaskCut: its default, its range and its meaning, once."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .parameters import Config, parameter
from .registry import BACKGROUNDS, REFINERS, SCORES, find_preset


@dataclasses.dataclass(frozen=True)
class RefinementConfig(Config):
    """Parameters of the dense CRF that ProMerge and MaskCut share (ProMerge, section 3.4)."""

    group: ClassVar[str] = "CRF"

    image_size: int = parameter(
        480,
        "Side of the square input in pixels; images are resized to it",
        low=32,
        high=4096,
        group="Model",
    )
    refine_iou: float = parameter(
        0.5, "Drop a mask whose IoU with its unrefined self is below this", low=0.0, high=1.0
    )
    refiner: str = parameter("batched", "Implementation of the dense CRF", choices=REFINERS)
    split_necks: float = parameter(
        0.0,
        "Split a mask at necks narrower than this fraction of the parts they join; 0 splits none",
        low=0.0,
        high=1.0,
    )
    min_relative_area: float = parameter(
        0.0,
        "Drop a mask below this fraction of the area that half of the masked pixels' masks exceed",
        low=0.0,
        high=1.0,
    )
    crf_iterations: int = parameter(10, "Mean-field iterations of the CRF", low=1, high=100)
    crf_gaussian_sxy: float = parameter(
        3.0, "Standard deviation of the Gaussian kernel in pixels", low=0.1, high=1000.0
    )
    crf_gaussian_compat: float = parameter(
        7.0, "Weight of the Gaussian kernel", low=0.0, high=1000.0
    )
    crf_bilateral_sxy: float = parameter(
        50.0, "Standard deviation of the bilateral kernel in pixels", low=0.1, high=1000.0
    )
    crf_bilateral_srgb: float = parameter(
        5.0, "Standard deviation of the bilateral kernel in grey levels", low=0.1, high=1000.0
    )
    crf_bilateral_compat: float = parameter(
        10.0, "Weight of the bilateral kernel", low=0.0, high=1000.0
    )


@dataclasses.dataclass(frozen=True)
class ProMergeConfig(RefinementConfig):
    """Parameters of ProMerge (Li and Shin, ECCV 2024, section 3 and appendix).

    The defaults are the paper's, except `score`: `constant` reproduces the paper there too.
    Areas and overlaps are fractions; similarities are cosines of patch features.

    Examples:
        >>> from promerge_core import ProMergeConfig
        >>> config = ProMergeConfig(affinity_threshold=0.3)
        >>> config.affinity_threshold, config.merge_overlap
        (0.3, 0.5)
        >>> ProMergeConfig(affinity_threshold=3)
        Traceback (most recent call last):
        promerge_core.parameters.ConfigError: affinity_threshold must be between -1.0 and 1.0; got 3
    """

    group: ClassVar[str] = "ProMerge"

    seed_stride: int = parameter(
        4, "Every how many patches, in both directions, a prompt is placed", low=1, high=64
    )
    affinity_threshold: float = parameter(
        0.2,
        "A patch joins a prompt's proposal above this cosine affinity",
        low=-1.0,
        high=1.0,
        is_main=True,
    )
    component_area_ratio: float = parameter(
        0.5,
        "Keep a component at least this fraction of the prompt's own component",
        low=0.0,
        high=1.0,
    )
    background: str = parameter(
        "borders",
        "borders: what most proposals that fill two borders share; plain: the plain ground, by its "
        "colour",
        choices=BACKGROUNDS,
    )
    min_background_fraction: float = parameter(
        0.1,
        "An image whose voted background is a smaller fraction gets no masks",
        low=0.0,
        high=1.0,
    )
    background_overlap: float = parameter(
        0.8,
        "Prune a proposal whose new patches are background at this fraction or more",
        low=0.0,
        high=1.0,
        is_main=True,
    )
    background_similarity: float = parameter(
        0.1,
        "Prune a proposal at least this similar to the background",
        low=-1.0,
        high=1.0,
        is_main=True,
    )
    merge_overlap: float = parameter(
        0.5,
        "Merge a proposal covered by an instance above this fraction",
        low=0.0,
        high=1.0,
        is_main=True,
    )
    merge_overlap_similar: float = parameter(
        0.1,
        "Merge a proposal that is similar to an instance and covered by it above this fraction",
        low=0.0,
        high=1.0,
    )
    merge_similarity: float = parameter(
        0.1, "A proposal is similar to an instance from this value on", low=-1.0, high=1.0
    )
    score: str = parameter(
        "stability",
        "Score of a mask; constant gives 1.0, as the paper",
        choices=SCORES,
    )

    @classmethod
    def from_preset(cls, preset: str, **values: Any) -> ProMergeConfig:
        """The config of a preset.

        Args:
            preset: a name of `promerge_core.registry.PRESETS`.
            **values: parameters that differ from the preset's.

        Returns:
            the config.

        Raises:
            ConfigError: the preset or a parameter is unknown, or a parameter is out of its range.

        Examples:
            >>> from promerge_core import ProMergeConfig
            >>> config = ProMergeConfig.from_preset("microscopy", image_size=960)
            >>> config.background, config.image_size
            ('plain', 960)
        """
        return cls.from_dict({**find_preset(preset).values, **values})


@dataclasses.dataclass(frozen=True)
class MaskCutConfig(RefinementConfig):
    """Parameters of MaskCut (Wang et al., CutLER, CVPR 2023, section 3.2).

    Examples:
        >>> from promerge_core import MaskCutConfig
        >>> config = MaskCutConfig(n_masks=5)
        >>> config.n_masks, config.tau
        (5, 0.15)
    """

    group: ClassVar[str] = "MaskCut"

    tau: float = parameter(
        0.15,
        "Two patches are connected above this cosine affinity",
        low=-1.0,
        high=1.0,
        is_main=True,
    )
    n_masks: int = parameter(
        3, "Number of cuts, and so of masks at most", low=1, high=100, is_main=True
    )
