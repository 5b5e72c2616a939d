"""Seconds and memory of each stage and of the whole, on this machine."""

from __future__ import annotations

import platform
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from promerge_core.backbones.base import Backbone
from promerge_core.backbones.loading import check_backbone, load_backbone
from promerge_core.config import ProMergeConfig
from promerge_core.generator import ProMerge
from promerge_core.images import PreparedImage, prepare_image

from .busy import busy_programs
from .comparison import measure_peers, measure_stages
from .floor import measure_floor
from .planted import plant
from .stopwatch import Stopwatch

_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")
"""PyTorch's names for a processor's instructions on bfloat16."""


def run_profile(
    images: Sequence[Image.Image],
    backbone: str = "dino_vitb8",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | None = None,
    batch_size: int = 1,
    repeats: int = 8,
    peers: bool = True,
    busy: int = 0,
) -> dict[str, Any]:
    """Measures every stage of ProMerge, and all of them together, on photos.

    The stages after the backbone run on planted instances, as many as DINO finds.

    Args:
        images: RGB photos of any sizes, at least one.
        backbone: see `load_backbone`; without `weights` a backbone that needs some gets random
            ones, which do not change its speed.
        device: see `load_backbone`.
        dtype: see `load_backbone`.
        weights: see `load_backbone`.
        batch_size: images in a batch of the backbone.
        repeats: timed runs of each stage, after one that is not timed.
        peers: also measure what others use: timm's whole forward, pydensecrf where it is
            installed, and scipy.linalg.eigh for MaskCut, which takes a minute.
        busy: other programs, each as busy as can be, beside which the whole is measured again.

    Returns:
        `machine`; `backbone`; `rows` with the median and minimum seconds per image of each stage;
        `end_to_end` with images per second, the ratio to the backbone alone, the number of masks
        of each image, the lower bound `floor_s`, which is what the backbone's products and
        exponentials take at this machine's best rates, in seconds per image, that bound's share
        of the time, `share_of_floor`, and its parts, `floor` (see `Floor`); `peers` with ratios;
        `busy`, where it is asked for, with the number of `programs` and the `slowdown`;
        `peak_rss_mib`, and `peak_gpu_mib` on CUDA.

    Raises:
        BackboneError: see `load_backbone`.
    """
    network = _load(backbone, device, dtype, weights)
    side = ProMergeConfig().image_size
    config = ProMergeConfig(image_size=side - side % network.patch_size)
    watch = Stopwatch(network.device, repeats)
    prepared = [prepare_image(image, config.image_size) for image in images]
    watch.measure("resize to the input", lambda: prepare_image(images[0], config.image_size))
    end_to_end = _measure_all(network, config, prepared, batch_size, watch)
    beside = {}
    if busy:
        again = Stopwatch(network.device, repeats)
        with busy_programs(busy):
            whole = _measure_all(network, config, prepared, batch_size, again)
        slowdown = end_to_end["images_per_s"] / whole["images_per_s"]
        beside = {"busy": {"programs": busy, "slowdown": slowdown}}
    measure_stages(network, config, prepared[0], watch)
    ratios = measure_peers(network, config, prepared[0], watch) if peers else {}
    figures: dict[str, Any] = {
        "machine": _machine(network),
        "backbone": {"name": backbone, "dtype": str(_dtype(network)), "batch_size": batch_size},
        "rows": watch.rows,
        "end_to_end": end_to_end,
        "peers": ratios,
        **beside,
        "peak_rss_mib": _peak_rss_mib(),
    }
    if network.device.type == "cuda":
        figures["peak_gpu_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return figures


def _measure_all(
    network: Backbone,
    config: ProMergeConfig,
    prepared: Sequence[PreparedImage],
    batch_size: int,
    watch: Stopwatch,
) -> dict[str, Any]:
    """Times the backbone alone and the whole on the same batches, one right after the other."""
    side = config.image_size // network.patch_size
    generator = ProMerge(plant(network, side), config)
    batches = _batches(prepared, batch_size)
    masks: list[int] = []
    alone, whole = [], []

    def run_backbone() -> None:
        network(network.normalise(np.stack([image.pixels for image in batch])))

    def run_whole() -> None:
        masks.extend(len(found) for found in generator.generate_prepared(batch))

    with torch.inference_mode():
        for number in range(watch.repeats + 1):
            batch = next(batches)
            seconds = watch.seconds(run_backbone), watch.seconds(run_whole)
            if number == 0:
                masks.clear()
                continue
            alone.append(seconds[0] / batch_size)
            whole.append(seconds[1] / batch_size)
        images = network.normalise(np.stack([image.pixels for image in batch]))
        floor = measure_floor(network, images, _dtype(network), watch)
    watch.add("backbone (keys)", alone)
    watch.add("end to end, after the resize", whole)
    return {
        "images_per_s": len(whole) / sum(whole),
        "to_backbone": sum(whole) / sum(alone),
        "masks": masks,
        "floor_s": floor.seconds,
        "share_of_floor": floor.seconds * len(whole) / sum(whole),
        "floor": floor._asdict(),
    }


def _batches(prepared: Sequence[PreparedImage], size: int) -> Iterator[list[PreparedImage]]:
    turns = cycle(prepared)
    while True:
        yield list(islice(turns, size))


def _load(name: str, device: str, dtype: str, weights: str | None) -> Backbone:
    """The backbone; with random weights where it needs some and none are given."""
    entry = check_backbone(name, weights)
    if weights is not None or not entry.needs_weights:
        return load_backbone(name, device, dtype, weights)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "random.safetensors")
        save_file(timm.create_model(entry.timm_name, num_classes=0).state_dict(), path)
        return load_backbone(name, device, dtype, path)


def _dtype(network: Backbone) -> torch.dtype:
    return getattr(network, "dtype", torch.float32)


def _machine(network: Backbone) -> dict[str, Any]:
    capabilities = torch.cpu.get_capabilities()
    machine: dict[str, Any] = {
        "device": network.device.type,
        "processor": capabilities.get("cpu_name", platform.processor()),
        "bfloat16": " ".join(name for name in _BFLOAT16 if capabilities.get(name)) or "emulated",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if network.device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name()
    return machine


def _peak_rss_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
