"""Records -> augmented training images, each a function of the seed and its number alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, Sampler

from fiftyone_promerge.training.recipes import Recipe, Round
from promerge_core import ImageError, open_image
from promerge_core.masks.rle import decode_rle

from .colours import jitter
from .copy_paste import boxes_of, copy_paste
from .crops import choose_window, crop_record, touches_edge
from .labelling import CLASS_AGNOSTIC, Labelling
from .records import Record, RecordError, RecordFile

logger = logging.getLogger(__name__)

_MAX_UNREADABLE = 100  # images in a row, from which on the fault is hardly the images'


class Sample(NamedTuple):
    """One image of a training step.

    Attributes:
        number: how many samples of the round come before it, over all devices.
        image: uint8 tensor [3, H, W], RGB.
        masks: bool tensor [N, H, W], each of at least one pixel; N may be 0.
        boxes: tight around the masks, xyxy in pixels, float32 tensor [N, 4].
        classes: the class of each, from 1, or `labelling.NO_CLASS`, int64 tensor [N].
        has_mask: whether the mask is known and not only its box, bool tensor [N].
    """

    number: int
    image: torch.Tensor
    masks: torch.Tensor
    boxes: torch.Tensor
    classes: torch.Tensor
    has_mask: torch.Tensor


class _Picture(NamedTuple):
    """An image to train on: `image`, `masks`, `classes` and `has_mask` of a `Sample`."""

    image: torch.Tensor
    masks: torch.Tensor
    classes: torch.Tensor
    has_mask: torch.Tensor


class TrainingSamples(Dataset[Sample]):
    """The endless row of a round's samples: shuffled, resized or cropped, flipped, pasted into.

    A sample depends on the recipe's seed and its own number and on nothing else, so a run gives
    the same numbers with any number of workers and devices, and when it is resumed. An image that
    cannot be read is passed over with a warning: the next one takes its place.

    Args:
        records: the records of the round.
        positions: those of them to train on, int64 [N].
        recipe: sizes and seed.
        schedule: the round's copy-paste.
        pastes: whether instances of other images are pasted.
        labelling: the classes.
    """

    def __init__(
        self,
        records: RecordFile,
        positions: np.ndarray,
        recipe: Recipe,
        schedule: Round,
        pastes: bool = True,
        labelling: Labelling = CLASS_AGNOSTIC,
    ) -> None:
        self._records = records
        self._positions = positions
        self._recipe = recipe
        self._schedule = schedule
        self._labelling = labelling
        self._pastes = pastes
        self._order: tuple[int, np.ndarray] = (-1, positions)

    def __getitem__(self, number: int) -> Sample:
        """The sample of that number.

        Raises:
            RecordError: a hundred images in a row cannot be read.
        """
        recipe = self._recipe
        rng = np.random.default_rng((recipe.seed, 0, number))
        short_side = int(rng.choice(recipe.short_sides))
        picture = self._load(number, short_side, rng)
        scale = self._schedule.copy_paste_scale
        if self._pastes and scale is not None:
            partner = number - number % len(self._positions) + rng.integers(len(self._positions))
            source = self._load(int(partner), short_side, rng)
            cut_out = source.has_mask
            if recipe.crop is not None:
                cut_out = cut_out & ~touches_edge(source.masks)
            cover = recipe.max_copy_paste_cover
            image, masks, origin = copy_paste(
                picture.image, picture.masks, source.image, source.masks[cut_out], scale, cover, rng
            )
            classes = torch.cat([picture.classes, source.classes[cut_out]])[origin]
            has_mask = torch.cat([picture.has_mask, source.has_mask[cut_out]])[origin]
            picture = _Picture(image, masks, classes, has_mask)
        image, masks, *kinds = picture
        return Sample(number, image, masks, boxes_of(masks), *kinds)

    def _load(self, number: int, short_side: int, rng: np.random.Generator) -> _Picture:
        recipe, (record, picture) = self._recipe, self._readable(number)
        if recipe.crop is None:
            image, masks, kept = resize_record(picture, record, short_side, recipe.long_side)
        else:
            window = choose_window(
                record, recipe.crop, recipe.test_short_side, recipe.crop_scales, rng
            )
            image, masks, kept = crop_record(picture, record, window)
        if recipe.jitter:
            image = jitter(image, recipe.jitter, rng)
        if rng.random() < 0.5:
            image, masks = image.flip(2), masks.flip(2)
        classes = torch.from_numpy(self._labelling.numbers(record.instances))[kept]
        return _Picture(image, masks, classes, kept < len(record.masks))

    def _readable(self, number: int) -> tuple[Record, Image.Image]:
        """The first record from that number on whose image can be read, and the image."""
        reason = ""
        for attempt in range(_MAX_UNREADABLE):
            record = self._records[self._position(number + attempt)]
            try:
                return record, open_record(record)
            except ImageError as error:
                reason = str(error)
                logger.warning("passed over in training: %s", reason)
        raise RecordError(
            f"{_MAX_UNREADABLE} images in a row cannot be used for training; the last: {reason}"
        )

    def _position(self, number: int) -> int:
        """Position in the record file; each epoch has an order of its own."""
        epoch, place = divmod(number, len(self._positions))
        if self._order[0] != epoch:
            rng = np.random.default_rng((self._recipe.seed, 1, epoch))
            self._order = (epoch, rng.permutation(self._positions))
        return int(self._order[1][place])


class RecordImages(Dataset[tuple[int, np.ndarray | None]]):
    """Images as they are, to predict in.

    Args:
        records: the records of a round.
        positions: those of them to look at, [N].
    """

    def __init__(self, records: RecordFile, positions: Sequence[int] | np.ndarray) -> None:
        self._records = records
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> tuple[int, np.ndarray | None]:
        """A record's position, and its image: uint8 [H, W, 3], RGB; None if it cannot be read."""
        position = int(self._positions[index])
        try:
            return position, np.array(open_record(self._records[position]))
        except ImageError as error:
            logger.warning("passed over in prediction: %s", error)
            return position, None


class Steps(Sampler[list[int]]):
    """The samples of each step on one of several devices.

    Args:
        iterations: steps of the round.
        batch_size: samples of a step on all devices together.
        rank: which device this is, from 0.
        world_size: number of devices; it divides the batch.
        first: the step to begin with, where a run is resumed.
    """

    def __init__(
        self, iterations: int, batch_size: int, rank: int = 0, world_size: int = 1, first: int = 0
    ) -> None:
        self._iterations = iterations
        self._batch_size = batch_size
        self._share = batch_size // world_size
        self._rank = rank
        self._first = first

    def __len__(self) -> int:
        """All steps of the round, done ones included: what a progress bar counts to."""
        return self._iterations

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._first, self._iterations):
            start = step * self._batch_size + self._rank * self._share
            yield list(range(start, start + self._share))


def open_record(record: Record) -> Image.Image:
    """The image of a record.

    Raises:
        ImageError: it cannot be read, or has another size than its masks.
    """
    image = open_image(record.path)
    if image.size != (record.width, record.height):
        raise ImageError(
            f"{record.path} has {image.width} x {image.height} pixels, its masks have "
            f"{record.width} x {record.height}"
        )
    return image


def resize_record(
    picture: Image.Image, record: Record, short_side: int, long_side: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Resizes an image, bilinearly, and its masks, which are decoded one at a time.

    Args:
        picture: the image of the record.
        record: its instances.
        short_side: the short side of the result in pixels, unless
        long_side: the long side would become longer than this.

    Returns:
        uint8 tensor [3, H, W], bool tensor [N, H, W], and the place of each mask in
        `record.instances`, int64 [N]; masks that vanish are left out.
    """
    scale = min(short_side / min(picture.size), long_side / max(picture.size))
    width, height = size = (
        max(round(picture.width * scale), 1),
        max(round(picture.height * scale), 1),
    )
    pixels = np.array(picture.resize(size, Image.Resampling.BILINEAR))
    masks = np.zeros((len(record.instances), height, width), dtype=bool)
    for index, mask in enumerate(record.instances):
        array = decode_rle(mask.segmentation).view(np.uint8)
        masks[index] = cv2.resize(array, size, interpolation=cv2.INTER_NEAREST_EXACT)
    kept = np.flatnonzero(masks.any((1, 2)))
    shown = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    return shown, torch.from_numpy(masks[kept]), torch.from_numpy(kept)
