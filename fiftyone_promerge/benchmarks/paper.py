"""The numbers that were published, to set ours beside."""

from __future__ import annotations

from types import MappingProxyType

SOURCE = (
    "D. Li and G. Shin, ProMerge: Prompt and Merge for Unsupervised Instance Segmentation, "
    "ECCV 2024, arXiv:2409.18961; table in the README of github.com/facebookresearch/ProMerge"
)

_NAMES = ("coco2017", "coco20k", "lvis", "kitti", "objects365", "sa1b")

PUBLISHED_AP = MappingProxyType(
    {
        method: MappingProxyType(dict(zip(_NAMES, values, strict=True)))
        for method, values in {
            "MaskCut": (2.2, 3.0, 0.9, 0.2, 1.7, 0.8),
            "ProMerge": (2.4, 3.0, 1.3, 0.3, 2.2, 1.2),
            "CutLER": (8.7, 8.9, 3.4, 3.9, 11.5, 5.5),
            "ProMerge+": (8.9, 9.0, 4.0, 5.4, 12.2, 7.8),
        }.items()
    }
)
"""AP in percent by method and benchmark, as in `SOURCE`. AR is in no table we could verify."""
