"""Seconds and memory of each stage and of the whole, measured so that they can be trusted."""

from __future__ import annotations

import functools
import importlib.util
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from promerge_core.backbones.base import Backbone
from promerge_core.backbones.loading import load_backbone
from promerge_core.config import MaskCutConfig, ProMergeConfig
from promerge_core.generator import ProMerge
from promerge_core.images import PreparedImage, prepare_image
from promerge_core.maskcut import second_eigenvector
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.rle import encode_rle
from promerge_core.refinement.refine import refine
from promerge_core.registry import find_backbone
from promerge_core.stages.pipeline import segment_features
from promerge_core.stages.prompting import unit_features

from .planted import plant, planted_features

_MASK_COUNTS = (1, 2, 4)
_MATRIX = 2048


def run_benchmark(
    images: Sequence[Image.Image],
    backbone: str = "dino_vitb8",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | None = None,
    batch_size: int = 1,
    repeats: int = 8,
    peers: bool = True,
) -> dict[str, Any]:
    """Measures every stage of ProMerge, and all of them together, on photos.

    The stages after the backbone run on planted instances, as many as DINO finds.

    Args:
        images: RGB photos of any sizes.
        backbone: see `load_backbone`; without `weights` a DINO backbone gets random ones, which
            do not change its speed.
        device: see `load_backbone`.
        dtype: see `load_backbone`.
        weights: see `load_backbone`.
        batch_size: images in a batch of the backbone.
        repeats: timed runs of each stage, after one that is not timed.
        peers: also measure what others use: timm's whole forward, pydensecrf where it is
            installed, and scipy.linalg.eigh for MaskCut, which takes a minute.

    Returns:
        `machine`; `backbone`; `rows` with the median and minimum seconds an image of each stage;
        `end_to_end` with images a second, the ratio to the backbone alone, the masks of each
        image, and the share of the `floor`, which is what the backbone's multiplications take at
        the rate of a large matrix product; `peers` with ratios; `peak_rss_mib`, and
        `peak_gpu_mib` on CUDA.
    """
    network = _load(backbone, device, dtype, weights)
    config = ProMergeConfig()
    watch = Stopwatch(network.device, repeats)
    prepared = [prepare_image(image, config.image_size) for image in images]
    watch.measure("resize to the input", lambda: prepare_image(images[0], config.image_size))
    end_to_end = _measure_all(network, config, prepared, batch_size, watch)
    _measure_stages(network, config, prepared[0], watch)
    ratios = _measure_peers(network, config, prepared[0], watch) if peers else {}
    figures: dict[str, Any] = {
        "machine": _machine(network),
        "backbone": {"name": backbone, "dtype": str(_dtype(network)), "batch_size": batch_size},
        "rows": watch.rows,
        "end_to_end": end_to_end,
        "peers": ratios,
        "peak_rss_mib": _peak_rss_mib(),
    }
    if network.device.type == "cuda":
        figures["peak_gpu_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return figures


class Stopwatch:
    """Times pieces of work and keeps a row of each.

    Args:
        device: synchronised at the end of each piece.
        repeats: timed runs of each piece, after one that is not timed.

    Attributes:
        rows: `stage`, `median_s` and `min_s`, in seconds an image.
    """

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device = device
        self.repeats = repeats
        self.rows: list[dict[str, Any]] = []

    def seconds(self, work: Callable[[], object]) -> float:
        """What one run of a piece of work takes."""
        start = time.perf_counter()
        work()
        if self.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - start

    def measure(self, stage: str, work: Callable[[], object]) -> float:
        """Times a piece of work on one image; the median of its seconds."""
        self.seconds(work)
        return self.add(stage, [self.seconds(work) for _ in range(self.repeats)])

    def add(self, stage: str, seconds: Sequence[float]) -> float:
        """Keeps a row of seconds an image; their median."""
        median = statistics.median(seconds)
        self.rows.append({"stage": stage, "median_s": median, "min_s": min(seconds)})
        return median


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
        floor = _flops(network, batch) / batch_size / _matmul_rate(watch, _dtype(network))
    watch.add("backbone (keys)", alone)
    watch.add("end to end, after the resize", whole)
    return {
        "images_per_s": len(whole) / sum(whole),
        "to_backbone": sum(whole) / sum(alone),
        "masks": masks,
        "floor_s": floor,
        "share_of_floor": floor * len(whole) / sum(whole),
    }


def _batches(prepared: Sequence[PreparedImage], size: int) -> Iterator[list[PreparedImage]]:
    turns = cycle(prepared)
    while True:
        yield list(islice(turns, size))


def _flops(network: Backbone, batch: Sequence[PreparedImage]) -> int:
    """Floating-point operations of the backbone on a batch, two for a multiply and add."""
    images = network.normalise(np.stack([image.pixels for image in batch]))
    with FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops()


def _matmul_rate(watch: Stopwatch, dtype: torch.dtype) -> float:
    """Floating-point operations a second in a product of two large matrices, at its best."""
    matrix = torch.randn(_MATRIX, _MATRIX, device=watch.device).to(dtype)
    runs = [watch.seconds(lambda: matrix @ matrix) for _ in range(watch.repeats + 2)]
    return 2 * _MATRIX**3 / min(runs)


def _measure_stages(
    network: Backbone, config: ProMergeConfig, image: PreparedImage, watch: Stopwatch
) -> None:
    planted = cycle(plant(network, config.image_size // network.patch_size).features)
    watch.measure("prompting to merging", lambda: segment_features(next(planted), config))
    for count in _MASK_COUNTS:
        masks = _squares(count, network.features_device)
        work = functools.partial(refine, image.pixels, masks, config)
        watch.measure(_crf_stage(count), work)
    drawn = np.zeros((4, config.image_size, config.image_size), dtype=bool)
    drawn[:, 100:300, 150:350] = True
    watch.measure("resize and RLE, 4 masks", lambda: encode_rle(resize_masks(drawn, 640, 480)))


def _crf_stage(count: int) -> str:
    return f"dense CRF, {count} mask{'s' * (count > 1)}"


def _squares(count: int, device: torch.device) -> torch.Tensor:
    masks = torch.zeros(count, 60, 60, dtype=torch.bool, device=device)
    for index in range(count):
        masks[index, 10 + 8 * index : 26 + 8 * index, 12:40] = True
    return masks


def _measure_peers(
    network: Backbone, config: ProMergeConfig, image: PreparedImage, watch: Stopwatch
) -> dict[str, float]:
    """Times what others use; how many times longer each takes than our stage."""
    ours = {row["stage"]: row["median_s"] for row in watch.rows}
    ratios = {}
    entry = find_backbone(network.name)
    if entry is not None and entry.timm_name and network.device.type == "cpu":
        plain: Any = timm.create_model(entry.timm_name, num_classes=0, img_size=480)
        batch = network.normalise(image.pixels[None])
        forward = torch.inference_mode()(lambda: plain.eval().forward_features(batch))
        stage = "timm's whole forward, float32"
        ratios[stage] = watch.measure(stage, forward) / ours["backbone (keys)"]
    for count in _MASK_COUNTS if importlib.util.find_spec("pydensecrf") else ():
        stage = f"pydensecrf, {count} mask{'s' * (count > 1)}"
        masks = _squares(count, network.features_device)
        work = functools.partial(refine, image.pixels, masks, config, "pydensecrf")
        ratios[stage] = watch.measure(stage, work) / ours[_crf_stage(count)]
    ratios |= _measure_eigenvectors(watch, network.features_device)
    return ratios


def _measure_eigenvectors(watch: Stopwatch, device: torch.device) -> dict[str, float]:
    """One cut of MaskCut, by our solver and by the dense one of its authors' code."""
    unit = unit_features(planted_features(768, instances=3).to(device))
    tau = MaskCutConfig().tau
    ours = watch.measure("MaskCut, one eigenvector", lambda: second_eigenvector(unit, tau))
    affinity = torch.where(unit @ unit.T > tau, 1.0, 1e-5).double().cpu().numpy()
    degree = np.diag(affinity.sum(1))

    def dense() -> None:
        scipy.linalg.eigh(degree - affinity, degree, subset_by_index=[1, 2])

    stage = "scipy.linalg.eigh, the same"
    return {stage: watch.add(stage, [watch.seconds(dense)]) / ours}


def _load(name: str, device: str, dtype: str, weights: str | None) -> Backbone:
    """The backbone; with random weights where it needs some and none are given."""
    entry = find_backbone(name)
    if weights is not None or entry is None or not entry.needs_weights:
        return load_backbone(name, device, dtype, weights)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "random.safetensors")
        model = timm.create_model(entry.timm_name, num_classes=0)
        save_file(model.state_dict(), path)
        return load_backbone(name, device, dtype, path)


def _dtype(network: Backbone) -> torch.dtype:
    return getattr(network, "dtype", torch.float32)


def _machine(network: Backbone) -> dict[str, Any]:
    machine = {
        "device": network.device.type,
        "processor": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if network.device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name()
    return machine


def _peak_rss_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
