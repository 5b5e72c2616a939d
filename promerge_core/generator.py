"""Generators: images -> masks. The one object a user of the core needs."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from .backbone import Backbone
from .config import ConfigError, ProMergeConfig, RefinementConfig
from .images import PreparedImage, prepare_image
from .masks import Mask, masks_from_arrays, resize_masks
from .refinement import refine_with_iou
from .scoring import SCORES
from .stages import NoMasks, segment_features
from .timing import Timer


class ImageMasks(list[Mask]):
    """The masks of one image, best first.

    Attributes:
        width: width of the image in pixels.
        height: height of the image in pixels.
        reason: why there are no masks, or None where there are.
    """

    def __init__(
        self, masks: list[Mask], width: int, height: int, reason: NoMasks | None = None
    ) -> None:
        super().__init__(sorted(masks, key=lambda mask: -mask.score))
        self.width = width
        self.height = height
        self.reason = reason


class Found(NamedTuple):
    """The instances of one image on the patch grid.

    Attributes:
        masks: bool tensor [M, h, w].
        facts: name -> what is known about each mask, tensor [M].
        score: IoU of each mask before and after the refinement, float64 [M] -> scores, [M].
        reason: why there are none, or None.
    """

    masks: torch.Tensor
    facts: dict[str, torch.Tensor]
    score: Callable[[torch.Tensor], torch.Tensor]
    reason: NoMasks | None


class MaskGenerator(abc.ABC):
    """Images -> backbone -> instances on the patch grid -> dense CRF -> masks.

    Args:
        backbone: gives the patch features.
        config: the parameters of the method.

    Raises:
        ConfigError: the backbone's patches are too large for the input.
    """

    def __init__(self, backbone: Backbone, config: RefinementConfig) -> None:
        self.backbone = backbone
        self.config = config
        self.timer = Timer(backbone.device)
        if self.input_size < 2 * backbone.patch_size:
            raise ConfigError(
                f"image_size {config.image_size} is too small for patches of "
                f"{backbone.patch_size} pixels; use at least {2 * backbone.patch_size}"
            )

    @abc.abstractmethod
    def find(self, features: torch.Tensor) -> Found:
        """Instances in the features [C, h, w] of one image."""

    @property
    def input_size(self) -> int:
        """Side of the backbone's input: `image_size`, down to a multiple of the patch size."""
        return self.config.image_size - self.config.image_size % self.backbone.patch_size

    def prepare(self, image: Image.Image | np.ndarray) -> PreparedImage:
        """Resizes one image to the backbone's input."""
        return prepare_image(image, self.input_size)

    def generate(self, images: Sequence[Image.Image | np.ndarray]) -> list[ImageMasks]:
        """Finds the instances of each image.

        Args:
            images: PIL images of any mode, or uint8 arrays [H, W, 3], of any sizes.

        Returns:
            for each image its masks at its own size, best first; see `ImageMasks.reason` where
            there are none.

        Raises:
            ImageError: an array is no image.
        """
        with self.timer.stage("prepare"):
            prepared = [self.prepare(image) for image in images]
        return self.generate_prepared(prepared)

    @torch.inference_mode()
    def generate_prepared(self, images: Sequence[PreparedImage]) -> list[ImageMasks]:
        """The same for images that `prepare` has resized, all in one batch of the backbone."""
        if not images:
            return []
        with self.timer.stage("backbone"):
            batch = np.stack([image.pixels for image in images])
            features = self.backbone(self.backbone.normalise(batch))
        self.timer.images += len(images)
        return [
            self._segment(image, feature) for image, feature in zip(images, features, strict=True)
        ]

    def _segment(self, image: PreparedImage, features: torch.Tensor) -> ImageMasks:
        with self.timer.stage("stages"):
            found = self.find(features)
        if found.reason is not None:
            return ImageMasks([], image.width, image.height, found.reason)
        with self.timer.stage("refine"):
            refined, iou = refine_with_iou(image.pixels, found.masks, self.config)
        with self.timer.stage("encode"):
            return self._output(image, found, refined, iou)

    def _output(
        self, image: PreparedImage, found: Found, refined: torch.Tensor, iou: torch.Tensor
    ) -> ImageMasks:
        """Accepted masks at the image's own size, scored."""
        accepted = iou >= self.config.refine_iou
        scores = found.score(iou)[accepted].tolist()
        columns = {**found.facts, "refine_iou": iou}
        values = torch.stack([column.double() for column in columns.values()], dim=1)[accepted]
        facts = [dict(zip(columns, row, strict=True)) for row in values.tolist()]
        arrays = resize_masks(refined[accepted].cpu().numpy(), image.width, image.height)
        masks = masks_from_arrays(arrays, scores, facts)
        reason = None if masks else NoMasks.ALL_REJECTED
        return ImageMasks(masks, image.width, image.height, reason)


class ProMerge(MaskGenerator):
    """Unsupervised instance segmentation by prompting and merging (Li and Shin, ECCV 2024).

    Args:
        backbone: gives the patch features.
        config: the parameters; the paper's by default.
    """

    config: ProMergeConfig

    def __init__(self, backbone: Backbone, config: ProMergeConfig | None = None) -> None:
        super().__init__(backbone, config or ProMergeConfig())

    def find(self, features: torch.Tensor) -> Found:
        """See `promerge_core.segment_features`."""
        stages = segment_features(features, self.config)
        facts = {
            "votes": stages.votes,
            "background_similarity": stages.background_similarity,
        }
        score = functools.partial(SCORES[self.config.score], stages)
        return Found(stages.merged, facts, score, stages.reason)
