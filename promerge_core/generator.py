"""Generators: images -> masks. The one object a user of the core needs."""

from __future__ import annotations

import abc
import functools
import itertools
import logging
import sys
from collections.abc import Callable, Sequence
from itertools import compress, islice
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from promerge_core.backbones.base import Backbone
from promerge_core.descriptors.describe import add_embeddings
from promerge_core.machine.processors import each_image
from promerge_core.machine.timing import Timer
from promerge_core.masks.mask import Mask, masks_from_arrays
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.splitting import large_beside_others, solidity, split_necks
from promerge_core.refinement.refine import refine_batch
from promerge_core.registry import SCORES
from promerge_core.stages.found import Found
from promerge_core.stages.ground import find_grounds
from promerge_core.stages.no_masks import NoMasks
from promerge_core.stages.pipeline import Stages, segment_batch, segment_features

from .config import ProMergeConfig, RefinementConfig
from .images import PreparedImage, prepare_image
from .parameters import ConfigError

logger = logging.getLogger(__name__)


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


class MaskMaker(Protocol):
    """Makes the masks of a run, as a `MaskGenerator` does without training or a detector with it.

    Attributes:
        timer: seconds per stage.
    """

    timer: Timer

    @property
    def parameters(self) -> dict[str, Any]:
        """What of it decides the masks and is no setting of the run, ready for JSON."""

    @property
    def preparation(self) -> Callable[[Image.Image], Any]:
        """Makes of an image what `generate_prepared` takes; workers get it, so it is pickled."""

    def generate_prepared(self, images: Sequence[Any]) -> list[ImageMasks]:
        """The masks of each prepared image."""


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
        self._most_images = sys.maxsize
        if self.input_size < 2 * backbone.patch_size:
            raise ConfigError(
                f"image_size {config.image_size} is too small for patches of "
                f"{backbone.patch_size} pixels; use at least {2 * backbone.patch_size}"
            )

    @abc.abstractmethod
    def find(self, features: torch.Tensor, pixels: torch.Tensor) -> list[Found]:
        """Finds the instances of each image.

        Args:
            features: float tensor [B, C, h, w].
            pixels: uint8 tensor [B, S, S, 3], the images themselves.

        Returns:
            what was found, B times.
        """

    @property
    def input_size(self) -> int:
        """Side of the backbone's input: `image_size`, down to a multiple of the patch size."""
        return self.config.image_size - self.config.image_size % self.backbone.patch_size

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the method by name, ready for JSON."""
        return self.config.to_dict()

    @property
    def preparation(self) -> Callable[[Image.Image | np.ndarray], PreparedImage]:
        """What `prepare` does, without the backbone, for processes that read images."""
        return functools.partial(prepare_image, size=self.input_size)

    def prepare(self, image: Image.Image | np.ndarray) -> PreparedImage:
        """Resizes one image to the backbone's input."""
        return self.preparation(image)

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
    def generate_prepared(
        self, images: Sequence[PreparedImage], *, embeddings: bool = False
    ) -> list[ImageMasks]:
        """The same for images that `prepare` has resized, all in one batch of the backbone.

        A batch that the device's memory does not hold is halved, as are all that follow.

        Args:
            images: the prepared images.
            embeddings: whether each mask gets its `embedding`, from the same features.

        Returns:
            see `generate`.

        Raises:
            torch.OutOfMemoryError: the memory does not hold a single image.
        """
        results: list[ImageMasks] = []
        while len(results) < len(images):
            batch = images[len(results) : len(results) + self._most_images]
            try:
                results += self._generate_batch(batch, embeddings)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                self._most_images = len(batch) // 2
                logger.warning(
                    "%d images do not fit into the device's memory: from here on %d at a time",
                    len(batch),
                    self._most_images,
                )
        return results

    def _generate_batch(self, images: Sequence[PreparedImage], embed: bool) -> list[ImageMasks]:
        with self.timer.stage("backbone"):
            pixels = torch.as_tensor(
                np.stack([image.pixels for image in images]), device=self.backbone.device
            )
            features = self.backbone(self.backbone.normalise(pixels))
        with self.timer.stage("stages"):
            found = self.find(features, pixels)
        with self.timer.stage("refine"):
            refined, iou = refine_batch(list(pixels), [one.masks for one in found], self.config)
        with self.timer.stage("encode"):
            results = self._encode(images, found, refined, iou)
        if embed:
            with self.timer.stage("embed"):
                add_embeddings(self.backbone, images, results, features)
        self.timer.images += len(images)
        return results

    def _encode(
        self,
        images: Sequence[PreparedImage],
        found: Sequence[Found],
        refined: torch.Tensor,
        iou: torch.Tensor,
    ) -> list[ImageMasks]:
        """The masks of all images, [M, S, S] with IoU [M], leave the device together."""
        counts = [len(one.masks) for one in found]
        parts = zip(found, iou.split(counts), strict=True)
        columns = {"score": torch.cat([one.score(part) for one, part in parts])}
        for name in found[0].facts:
            columns[name] = torch.cat([one.facts[name] for one in found]).double()
        columns["refine_iou"] = iou
        table = torch.stack(list(columns.values()), dim=1).tolist()
        rows = iter([dict(zip(columns, row, strict=True)) for row in table])
        facts = [list(islice(rows, count)) for count in counts]
        reasons = [one.reason for one in found]
        masks = [part.numpy() for part in refined.cpu().split(counts)]
        return each_image(self._output, images, reasons, masks, facts)

    def _output(
        self,
        image: PreparedImage,
        reason: NoMasks | None,
        refined: np.ndarray,
        facts: list[dict[str, float]],
    ) -> ImageMasks:
        """Accepted masks at the image's own size."""
        accepted = [fact["refine_iou"] >= self.config.refine_iou for fact in facts]
        facts = list(compress(facts, accepted))
        parts, facts = self._split(refined[accepted], facts, image)
        arrays = resize_masks(parts, image.width, image.height)
        masks = masks_from_arrays(arrays, [fact.pop("score") for fact in facts], facts)
        if not masks:
            reason = reason or NoMasks.ALL_REJECTED
        return ImageMasks(masks, image.width, image.height, reason)

    def _split(
        self, masks: np.ndarray, facts: list[dict[str, float]], image: PreparedImage
    ) -> tuple[np.ndarray, list[dict[str, float]]]:
        """The masks split at necks and without specks, where the config asks for it.

        Where masks are split, a part's score is that of its mask times its solidity.
        """
        if self.config.split_necks:
            pixel = (image.height / masks.shape[1], image.width / masks.shape[2])
            masks, origin = split_necks(masks, self.config.split_necks, pixel)
            scores = solidity(masks)
            facts = [
                {**facts[mask], "score": facts[mask]["score"] * score}
                for mask, score in zip(origin, scores.tolist(), strict=True)
            ]
        large = large_beside_others(masks, self.config.min_relative_area)
        return masks[large], list(compress(facts, large))


class ProMerge(MaskGenerator):
    """Unsupervised instance segmentation by prompting and merging (Li and Shin, ECCV 2024).

    Args:
        backbone: gives the patch features.
        config: the parameters; the paper's by default.

    Examples:
        >>> from promerge_core import ProMerge, load_backbone
        >>> from skimage.data import coffee
        >>> generator = ProMerge(load_backbone("embedded"))
        >>> (masks,) = generator.generate([coffee()])
        >>> len(masks), masks[0].to_array().shape
        (3, (400, 600))
    """

    config: ProMergeConfig

    def __init__(self, backbone: Backbone, config: ProMergeConfig | None = None) -> None:
        super().__init__(backbone, config or ProMergeConfig())

    def find(self, features: torch.Tensor, pixels: torch.Tensor) -> list[Found]:
        """See `promerge_core.segment_features`."""
        grounds = find_grounds(pixels, features, self.config)
        if features.device.type == "cpu":
            # Alone, no image's last bits depend on its neighbours either.
            each = itertools.repeat(None) if grounds is None else grounds
            segment = functools.partial(segment_features, config=self.config)
            found = each_image(lambda one, ground: segment(one, ground=ground), features, each)
        else:
            found = segment_batch(features, self.config, grounds)
        return [self._found(stages) for stages in found]

    def _found(self, stages: Stages) -> Found:
        facts = {
            "votes": stages.votes,
            "background_similarity": stages.background_similarity,
        }
        score = functools.partial(SCORES[self.config.score].load(), stages)
        return Found(stages.merged, facts, score, stages.reason)
