"""Seconds and memory of each stage, measured so that they can be trusted."""

from __future__ import annotations

import functools
import importlib.util
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from .backbones import DINO_MODELS, Backbone, load_backbone
from .config import ProMergeConfig
from .images import prepare_image
from .masks import encode_rle, resize_masks
from .refinement import refine
from .stages import segment_features

_MASK_COUNTS = (1, 2, 4)


def run_benchmark(
    backbone: str = "dino_vitb8",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | None = None,
    repeats: int = 5,
) -> dict[str, Any]:
    """Measures every stage of ProMerge on one photo and on planted features.

    Args:
        backbone: see `load_backbone`; without `weights` a DINO backbone gets random ones.
        device: see `load_backbone`.
        dtype: see `load_backbone`.
        weights: see `load_backbone`.
        repeats: timed runs of each stage, after one that is not timed.

    Returns:
        `machine`, `backbone`, `rows` with the median and minimum seconds an image of each stage,
        `peak_rss_mib`, and `peak_gpu_mib` on CUDA.
    """
    network = _load(backbone, device, dtype, weights)
    config = ProMergeConfig()
    image = Image.fromarray(skimage.data.astronaut())
    prepared = prepare_image(image, config.image_size)
    batch = network.normalise(prepared.pixels[None])

    rows = [
        _row("prepare (resize to the input)", lambda: prepare_image(image, 480), network, repeats),
        _row("backbone (keys)", lambda: network(batch), network, repeats),
    ]
    if backbone in DINO_MODELS and network.device.type == "cpu":
        plain: Any = timm.create_model(DINO_MODELS[backbone][0], num_classes=0, img_size=480).eval()
        forward = torch.inference_mode()(lambda: plain.forward_features(batch))
        rows.append(_row("timm's plain float32 forward", forward, network, repeats))
    features = [
        planted_features(network.dim, instances, noise, seed).to(network.device)
        for seed, (instances, noise) in enumerate([(2, 0.5), (4, 1.0), (8, 1.0), (12, 1.5)])
    ]
    for instances, feature in zip((2, 4, 8, 12), features, strict=True):
        name = f"prompting to merging ({instances} instances)"
        rows.append(
            _row(name, functools.partial(segment_features, feature, config), network, repeats)
        )
    rows += _refinement_rows(prepared.pixels, config, network, repeats)
    mask = np.zeros((4, config.image_size, config.image_size), dtype=bool)
    mask[:, 100:300, 150:350] = True
    rows.append(
        _row(
            "resize and RLE (4 masks)",
            lambda: encode_rle(resize_masks(mask, 640, 480)),
            network,
            repeats,
        )
    )
    figures: dict[str, Any] = {
        "machine": _machine(network),
        "backbone": {"name": backbone, "dtype": str(getattr(network, "dtype", torch.float32))},
        "rows": rows,
        "peak_rss_mib": _peak_rss_mib(),
    }
    if network.device.type == "cuda":
        figures["peak_gpu_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return figures


def planted_features(dim: int, instances: int, noise: float, seed: int) -> torch.Tensor:
    """Features like DINO's on a picture with known instances, float32 [dim, 60, 60].

    Every instance is an ellipse whose patches share a random direction; the background blends two
    smooth ones; all get Gaussian noise.

    Args:
        dim: number of channels.
        instances: number of ellipses.
        noise: length of the noise against features of length one.
        seed: of the random generator.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:60, 0:60]
    directions = random.standard_normal((instances + 2, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    blend = (columns / 59)[..., None]
    features = directions[0] * (1.2 - 0.4 * blend) + directions[1] * (0.4 * blend)
    for direction in directions[2:]:
        x, y = random.uniform(8, 52, 2)
        width, height = random.uniform(3, 9, 2)
        inside = ((columns - x) / width) ** 2 + ((rows - y) / height) ** 2 < 1
        features[inside] = direction
    features += noise * random.standard_normal(features.shape) / np.sqrt(dim)
    return torch.from_numpy(features.astype(np.float32)).permute(2, 0, 1)


def _load(name: str, device: str, dtype: str, weights: str | None) -> Backbone:
    """The backbone, a DINO one with random weights where none are given."""
    if weights is not None or name not in DINO_MODELS:
        return load_backbone(name, device, dtype, weights)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "random.safetensors")
        model = timm.create_model(DINO_MODELS[name][0], num_classes=0)
        save_file(model.state_dict(), path)
        return load_backbone(name, device, dtype, path)


def _refinement_rows(
    pixels: np.ndarray, config: ProMergeConfig, network: Backbone, repeats: int
) -> list[dict[str, Any]]:
    backends = ["batched"]
    if importlib.util.find_spec("pydensecrf") is not None:
        backends.append("pydensecrf")
    masks = torch.zeros(max(_MASK_COUNTS), 60, 60, dtype=torch.bool, device=network.device)
    for index in range(len(masks)):
        masks[index, 10 + 8 * index : 26 + 8 * index, 12:40] = True
    return [
        _row(
            f"dense CRF, {backend} ({count} mask{'s' * (count > 1)})",
            functools.partial(refine, pixels, masks[:count], config, backend),
            network,
            repeats,
        )
        for count in _MASK_COUNTS
        for backend in backends
    ]


def _row(name: str, work: Callable[[], object], network: Backbone, repeats: int) -> dict[str, Any]:
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if network.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    timed = seconds[1:]
    return {"stage": name, "median_s": statistics.median(timed), "min_s": min(timed)}


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
