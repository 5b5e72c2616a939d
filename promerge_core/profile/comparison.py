"""Seconds of each stage after the backbone, and of what others use in its place."""

from __future__ import annotations

import functools
import importlib.util
from itertools import cycle
from typing import Any

import numpy as np
import scipy.linalg
import timm
import torch

from promerge_core.backbones.base import Backbone
from promerge_core.config import MaskCutConfig, ProMergeConfig
from promerge_core.images import PreparedImage
from promerge_core.maskcut import second_eigenvector
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.rle import encode_rle
from promerge_core.refinement.refine import refine
from promerge_core.registry import find_backbone
from promerge_core.stages.pipeline import segment_features
from promerge_core.stages.prompting import unit_features

from .planted import plant, planted_features
from .stopwatch import Stopwatch

_MASK_COUNTS = (1, 2, 4)


def measure_stages(
    network: Backbone, config: ProMergeConfig, image: PreparedImage, watch: Stopwatch
) -> None:
    """Times prompting to merging, the dense CRF and the encoding of masks.

    Args:
        network: decides on which device, patch grid and number of channels.
        config: the parameters of the stages.
        image: what masks are fitted to.
        watch: gets the rows.
    """
    planted = cycle(plant(network, config.image_size // network.patch_size).features)
    watch.measure("prompting to merging", lambda: segment_features(next(planted), config))
    for count in _MASK_COUNTS:
        masks = _boxes(count, config.image_size, network.features_device)
        watch.measure(_crf_stage(count), functools.partial(refine, image.pixels, masks, config))
    drawn = np.zeros((4, config.image_size, config.image_size), dtype=bool)
    drawn[:, 100:300, 150:350] = True
    watch.measure("resize and RLE, 4 masks", lambda: encode_rle(resize_masks(drawn, 640, 480)))


def measure_peers(
    network: Backbone, config: ProMergeConfig, image: PreparedImage, watch: Stopwatch
) -> dict[str, float]:
    """Times what others use, where it is installed.

    Args:
        network: see `measure_stages`.
        config: see `measure_stages`.
        image: see `measure_stages`.
        watch: has the rows of our stages, and gets those of their peers.

    Returns:
        for each peer, how many times longer it takes than our stage.
    """
    ours = {row["stage"]: row["median_s"] for row in watch.rows}
    ratios = {}
    entry = find_backbone(network.name)
    if entry is not None and entry.timm_name and network.device.type == "cpu":
        side = config.image_size
        plain: Any = timm.create_model(entry.timm_name, num_classes=0, img_size=side)
        batch = network.normalise(image.pixels[None])
        forward = torch.inference_mode()(lambda: plain.eval().forward_features(batch))
        stage = "timm's whole forward, float32"
        ratios[stage] = watch.measure(stage, forward) / ours["backbone (keys)"]
    for count in _MASK_COUNTS if importlib.util.find_spec("pydensecrf") else ():
        stage = f"pydensecrf, {count} mask{'s' * (count > 1)}"
        masks = _boxes(count, config.image_size, network.features_device)
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


def _crf_stage(count: int) -> str:
    return f"dense CRF, {count} mask{'s' * (count > 1)}"


def _boxes(count: int, side: int, device: torch.device) -> torch.Tensor:
    """Boxes of 128 x 224 pixels that overlap halfway, bool [count, side, side]."""
    masks = torch.zeros(count, side, side, dtype=torch.bool, device=device)
    for index in range(count):
        masks[index, 80 + 64 * index : 208 + 64 * index, 96:320] = True
    return masks
