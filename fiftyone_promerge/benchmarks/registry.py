"""The six benchmarks of the ProMerge paper: where their files are, and the published numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple


class Benchmark(NamedTuple):
    """Where a benchmark's files are and under which terms.

    Attributes:
        title: its usual name.
        images: what to download, and from where.
        annotations: URL of the class-agnostic annotation file that the paper uses.
        licence: terms of the images and annotations.
        sign_up: whether the images need an account or an agreement.
        has_masks: whether the annotations have masks; else boxes alone can be evaluated.
        is_downloaded: whether FiftyOne's zoo downloads it where no files are named.
        folders: folders under `images_dir` in which the images may lie.
        published_ap: AP in percent by method, from the paper; empty where none is published.
    """

    title: str
    images: str
    annotations: str
    licence: str
    sign_up: bool
    has_masks: bool
    is_downloaded: bool = False
    folders: tuple[str, ...] = ()
    published_ap: Mapping[str, float] = MappingProxyType({})

    @property
    def iou_type(self) -> Literal["segm", "bbox"]:
        """What its published numbers compare: masks where it has them, else boxes."""
        return "segm" if self.has_masks else "bbox"


PUBLISHED_SOURCE = (
    "D. Li and G. Shin, ProMerge: Prompt and Merge for Unsupervised Instance Segmentation, "
    "ECCV 2024, arXiv:2409.18961; table in the README of github.com/facebookresearch/ProMerge"
)
"""Where `published_ap` is from. AR is in no table that we could verify."""


def _published(maskcut: float, promerge: float, cutler: float, plus: float) -> Mapping[str, float]:
    return MappingProxyType(
        {"MaskCut": maskcut, "ProMerge": promerge, "CutLER": cutler, "ProMerge+": plus}
    )


_CUTLER = "http://dl.fbaipublicfiles.com/cutler"
_PROMERGE = "https://www.robots.ox.ac.uk/~vgg/research/promerge/shared_files"
_COCO_TERMS = "annotations CC BY 4.0; images under their owners' Flickr terms"

BENCHMARKS = {
    "coco2017": Benchmark(
        "COCO 2017 val",
        "http://images.cocodataset.org/zips/val2017.zip (5,000 images, 1 GB)",
        f"{_CUTLER}/coco/coco_cls_agnostic_instances_val2017.json",
        _COCO_TERMS,
        sign_up=False,
        has_masks=True,
        is_downloaded=True,
        folders=("val2017",),
        published_ap=_published(2.2, 2.4, 8.7, 8.9),
    ),
    "coco20k": Benchmark(
        "COCO 20K",
        "http://images.cocodataset.org/zips/train2014.zip (13 GB) and val2014.zip there (6 GB)",
        f"{_CUTLER}/coco/coco20k_trainval_gt.json",
        _COCO_TERMS,
        sign_up=False,
        has_masks=True,
        folders=("train2014", "val2014"),
        published_ap=_published(3.0, 3.0, 8.9, 9.0),
    ),
    "lvis": Benchmark(
        "LVIS v1 val",
        "http://images.cocodataset.org/zips/val2017.zip (1 GB) and train2017.zip there (18 GB)",
        f"{_CUTLER}/coco/lvis1.0_cocofied_val_cls_agnostic.json",
        _COCO_TERMS,
        sign_up=False,
        has_masks=True,
        folders=("val2017", "train2017"),
        published_ap=_published(0.9, 1.3, 3.4, 4.0),
    ),
    "kitti": Benchmark(
        "KITTI object detection",
        "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=2d (left color "
        "images, 12 GB)",
        f"{_CUTLER}/kitti/trainval_cls_agnostic.json",
        "CC BY-NC-SA 3.0",
        sign_up=True,
        has_masks=False,
        folders=("JPEGImages", "training/image_2"),
        published_ap=_published(0.2, 0.3, 3.9, 5.4),
    ),
    "objects365": Benchmark(
        "Objects365 v2 val",
        "https://www.objects365.org/download.html (patches 16 to 40 of the validation set)",
        f"{_PROMERGE}/objects365_16-40.json",
        "see https://www.objects365.org",
        sign_up=True,
        has_masks=False,
        folders=("val",),
        published_ap=_published(1.7, 2.2, 11.5, 12.2),
    ),
    "sa1b": Benchmark(
        "SA-1B (one of its archives)",
        "https://ai.meta.com/datasets/segment-anything-downloads/",
        f"{_PROMERGE}/sa1b.json",
        "SA-1B Dataset Research License",
        sign_up=True,
        has_masks=True,
        published_ap=_published(0.8, 1.2, 5.5, 7.8),
    ),
}


def where_to_get(name: str) -> str:
    """One paragraph on where a benchmark's images and annotations are and what they ask for."""
    benchmark = BENCHMARKS[name]
    sign_up = " after signing up" if benchmark.sign_up else ""
    return (
        f"{benchmark.title}: images{sign_up} from {benchmark.images}; annotations from "
        f"{benchmark.annotations}; licence: {benchmark.licence}."
    )


def published_ap(benchmark: str | None, iou_types: Collection[str]) -> Mapping[str, float]:
    """The published numbers that an evaluation can be set beside.

    Args:
        benchmark: `dataset.info.get("benchmark")`: a name of `BENCHMARKS`, or None.
        iou_types: what was compared: `segm`, `bbox` or both.

    Returns:
        AP in percent by method; empty where the benchmark's numbers compare something else, or
        where none are published.
    """
    entry = BENCHMARKS.get(benchmark or "")
    return entry.published_ap if entry and entry.iou_type in iou_types else {}
