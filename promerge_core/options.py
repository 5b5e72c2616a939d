"""Options of a run: which backbone, where it computes, how the images are read."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .parameters import Config, parameter
from .registry import BACKBONES, GROUPINGS

DTYPES = ("auto", "float32", "bfloat16", "float16")
"""Number types a backbone can compute in: `auto`, and names of PyTorch's types."""

DEVICES = ("auto", "cpu", "cuda", "mps")
"""Devices that a form offers; any other name that PyTorch knows, as cuda:1, can be typed."""


def _device() -> Any:
    return parameter("auto", "auto, cpu, cuda, cuda:1 or mps", suggestions=DEVICES, group="Machine")


@dataclasses.dataclass(frozen=True)
class DeviceOptions(Config):
    """Where a model computes."""

    device: str = _device()


@dataclasses.dataclass(frozen=True)
class BackboneOptions(Config):
    """Which network computes the features, where, and in which number type."""

    group: ClassVar[str] = "Model"

    backbone: str = parameter(
        "dino_vitb8",
        f"One of {', '.join(BACKBONES)}, or any timm ViT as timm:NAME",
        suggestions=BACKBONES,
        is_main=True,
    )
    weights: str | None = parameter(
        None,
        "Local .pth or .safetensors weights; without it the hub's are downloaded",
        type=str,
        label="Weights file",
        path="file",
        is_main=True,
    )
    dtype: str = parameter(
        "auto",
        "Number type of the backbone; auto is bfloat16 where the hardware has it",
        label="Number type",
        choices=DTYPES,
        group="Machine",
    )
    device: str = _device()


@dataclasses.dataclass(frozen=True)
class RunOptions(Config):
    """How the images of a run are read and whether an earlier run continues."""

    group: ClassVar[str] = "Machine"

    batch_size: int = parameter(8, "Images in a batch", low=1, high=4096)
    num_workers: int = parameter(
        1,
        "Processes that read images",
        label="Workers",
        low=0,
        high=256,
        flags=("--workers",),
        decides=False,
    )
    overwrite: bool = parameter(
        False, "Redo everything instead of resuming", group="Input and output", decides=False
    )


@dataclasses.dataclass(frozen=True)
class MaskOptions(RunOptions):
    """What a run of a method without training takes besides."""

    group: ClassVar[str] = "Input and output"

    embeddings: bool = parameter(
        False,
        "Give each mask in a dataset its vector, for groups and names, at no extra forward pass",
        decides=False,
    )


@dataclasses.dataclass(frozen=True)
class GroupOptions(Config):
    """How masks that look alike are found."""

    method: str = parameter(
        "hdbscan",
        "hdbscan finds dense groups and their number; kmeans makes round ones",
        choices=GROUPINGS,
    )
    groups: int | None = parameter(
        None, "Number of groups, for kmeans; by default it is found", type=int, low=1
    )


@dataclasses.dataclass(frozen=True)
class SpreadOptions(Config):
    """Which masks teach, and which get a label."""

    threshold: float = parameter(
        0.5, "Masks whose label is less probable than this stay object", low=0.0, high=1.0
    )
    from_names: bool = parameter(False, "Learn from the names of groups as well")


@dataclasses.dataclass(frozen=True)
class RayOptions(Config):
    """How the engine ray divides the work."""

    group: ClassVar[str] = "Ray"

    shard_size: int = parameter(128, "Images in a shard", low=1, high=1_000_000)
    concurrency: int | None = parameter(
        None,
        "Generators that work at once; by default as many as there is room for",
        type=int,
        low=1,
        decides=False,
    )
    num_gpus: float | None = parameter(
        None,
        "GPUs of each generator, fractions too; by default 1 where there are any",
        type=float,
        label="GPUs",
        low=0,
        high=64,
        decides=False,
    )
