"""One image under inspection: its features are computed once, its stages as often as asked."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import fiftyone as fo
import numpy as np
import torch

from fiftyone_promerge.fields import FieldError, check_field_name, free_field
from promerge_core import (
    ImageError,
    PreparedImage,
    ProMerge,
    ProMergeConfig,
    load_backbone,
    open_image,
    prepare_image,
)
from promerge_core.backbones.base import Backbone, BackboneError
from promerge_core.refinement.refine import refine_with_iou
from promerge_core.stages.explanation import Explanation, explain
from promerge_core.stages.ground import find_grounds

# Images that a person goes back and forth between, and backbones that are compared.
_KEPT_IMAGES = 4
_KEPT_BACKBONES = 2

# The App may ask for the same image twice at once; the second then finds the first's work, or its
# failure: a hub that cannot be reached takes a minute to say so. Other backbones do not wait.
_LOCKS: defaultdict[tuple[str, str | None], threading.Lock] = defaultdict(threading.Lock)
_FAILURES: dict[tuple[str, str | None], tuple[float, BackboneError]] = {}
_REMEMBERED_S = 10

# What tells a map that was stored here from one that a person made.
_MADE_BY, _INSPECTOR = "made_by", "promerge_inspector"


class Source(NamedTuple):
    """The features to inspect.

    Attributes:
        filepath: the image.
        backbone: name of the backbone, see `promerge_core.load_backbone`.
        weights: the backbone's local weights file, or None.
    """

    filepath: str
    backbone: str
    weights: str | None


class Inspection:
    """The stages of one image, as `promerge_core.ProMerge` runs them, with their reasons.

    Args:
        image: the image at the size of the backbone's input.
        explanation: the stages up to the merging.
        config: the parameters.
    """

    def __init__(
        self, image: PreparedImage, explanation: Explanation, config: ProMergeConfig
    ) -> None:
        self.image = image
        self.explanation = explanation
        self.config = config

    @functools.cached_property
    def _refined(self) -> tuple[torch.Tensor, torch.Tensor]:
        return refine_with_iou(self.image.pixels, self.explanation.stages.merged, self.config)

    @property
    def refined(self) -> torch.Tensor:
        """What the CRF makes of each merged mask, bool [M, S, S]; computed when first asked for."""
        return self._refined[0]

    @property
    def refine_iou(self) -> torch.Tensor:
        """IoU of each mask before and after the CRF, float64 [M]."""
        return self._refined[1]

    @property
    def accepted(self) -> torch.Tensor:
        """Which masks the CRF changes little enough to keep, bool [M]."""
        return self.refine_iou >= self.config.refine_iou


def inspect_image(source: Source, config: ProMergeConfig) -> Inspection:
    """Runs the stages of one image and says why each came out as it did.

    The last few images and backbones are kept in memory; a changed file is read again.

    Args:
        source: the image and the backbone.
        config: the parameters.

    Returns:
        the stages; the same object for the same arguments, while it is kept.

    Raises:
        ImageError: the image cannot be read.
        BackboneError: see `promerge_core.load_backbone`.
        ConfigError: the backbone's patches are too large for the input.
    """
    try:
        modified = Path(source.filepath).stat().st_mtime_ns
    except OSError as error:
        raise ImageError(f"{source.filepath}: no such file") from error
    loaded = (source.backbone, source.weights)
    with _LOCKS[loaded]:
        if loaded in _FAILURES:
            when, failure = _FAILURES[loaded]
            if time.monotonic() < when + _REMEMBERED_S:
                raise failure
        try:
            return _inspect(source, modified, config)
        except BackboneError as error:
            _FAILURES[loaded] = (time.monotonic(), error)
            raise


@functools.lru_cache(_KEPT_IMAGES)
def _inspect(source: Source, modified: int, config: ProMergeConfig) -> Inspection:
    backbone = kept_backbone(source.backbone, source.weights)
    size = ProMerge(backbone, config).input_size
    image, features = _features(source, modified, size)
    grounds = find_grounds(torch.from_numpy(image.pixels[None]), features[None], config)
    ground = None if grounds is None else grounds[0]
    return Inspection(image, explain(features, config, ground), config)


@functools.lru_cache(_KEPT_IMAGES)
def _features(source: Source, modified: int, size: int) -> tuple[PreparedImage, torch.Tensor]:
    backbone = kept_backbone(source.backbone, source.weights)
    image = prepare_image(open_image(source.filepath), size)
    with torch.inference_mode():
        return image, backbone(backbone.normalise(image.pixels[None]))[0]


@functools.lru_cache(_KEPT_BACKBONES)
def kept_backbone(name: str, weights: str | None) -> Backbone:
    """A backbone; the last few stay in memory.

    Args:
        name: its name.
        weights: its local weights file, or None.

    Returns:
        the backbone, see `promerge_core.load_backbone`.
    """
    return load_backbone(name, weights=weights)


def store_maps(
    sample: fo.Sample, inspection: Inspection, prompt: int, prefix: str = "promerge"
) -> list[str]:
    """Writes what the stages made of a sample's image into fields of the sample.

    Args:
        sample: the sample of the image.
        inspection: its stages.
        prompt: the prompt whose affinity is stored.
        prefix: the fields are called `{prefix}_affinity` (a heatmap, cosine in [-1, 1]),
            `{prefix}_background` (a heatmap, the fraction of the votes), `{prefix}_proposals` and
            `{prefix}_instances` (segmentations; 0 is none, the n-th mask is n).

    Returns:
        the names of the fields.

    Raises:
        FieldError: a field of that name holds something else, or what was not stored by this
            function; the message names another field.
    """
    explanation = inspection.explanation
    votes = explanation.background_votes / explanation.is_candidate.sum().clamp(min=1)
    maps = {
        "affinity": fo.Heatmap(map=_array(explanation.affinities[prompt]), range=[-1, 1]),
        "background": fo.Heatmap(map=_array(votes), range=[0, 1]),
        "proposals": fo.Segmentation(mask=_layers(explanation.stages.kept)),
        "instances": fo.Segmentation(mask=_layers(inspection.refined[inspection.accepted])),
    }
    for name, label in maps.items():
        _check_replaceable(sample, prefix, name, type(label))
    labels = {f"{prefix}_{name}": label for name, label in maps.items()}
    for name, label in labels.items():
        label[_MADE_BY] = _INSPECTOR
        sample[name] = label
    sample.save()
    return list(labels)


def _check_replaceable(sample: fo.Sample, prefix: str, name: str, kind: type[fo.Label]) -> None:
    """Raises FieldError where a field has anything but maps of the inspector."""
    field = f"{prefix}_{name}"
    check_field_name(field)
    dataset = sample.dataset
    known = dataset.get_field(field)
    if known is None:
        return
    if getattr(known, "document_type", None) is not kind:
        raise FieldError(f"the field {field!r} holds no {kind.__name__}; rename or delete it first")
    others = {field: {"$ne": None}, f"{field}.{_MADE_BY}": {"$ne": _INSPECTOR}}
    if dataset.mongo([{"$match": others}]).limit(1).count():
        raise FieldError(
            f"the field {field!r} holds maps that were not made here, and these are never "
            f"replaced; rename it, for example to {free_field(dataset, f'my_{field}')!r}"
        )


def _array(values: torch.Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def _layers(masks: torch.Tensor) -> np.ndarray:
    """Masks in one picture, small ones above large ones: uint8 [h, w], n for the n-th."""
    layers = torch.zeros(masks.shape[1:], dtype=torch.uint8, device=masks.device)
    for index in masks.flatten(1).sum(1).argsort(descending=True, stable=True).tolist():
        layers[masks[index]] = index % 255 + 1
    return layers.cpu().numpy()
