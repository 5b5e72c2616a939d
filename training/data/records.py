"""What a detector is trained on: images by path, masks as RLE, in one file that is read lazily."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from pycocotools import mask as coco_mask

from promerge_core import Mask, PromergeError
from promerge_core.masks.mask import LABEL
from promerge_core.masks.rle import compressed_rle

from .boxes import box_mask

# Where a line begins, the hash of its image's file name, and its masks: 20 bytes per image.
_INDEX = np.dtype([("offset", np.int64), ("hash", np.uint64), ("masks", np.int32)])


class RecordError(PromergeError):
    """Training data cannot be used or written; the message says what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One image and its instance masks.

    Attributes:
        key: names the image where it came from, such as the id of a FiftyOne sample.
        path: the image's file; it is referenced, never copied.
        height: height of the image as shown, in pixels.
        width: width of the image as shown, in pixels.
        masks: the instances, each of at least one pixel.
        crowds: regions of many objects: ignored in training, and in evaluation as COCO does.
        boxes: instances of which only the box is known, each as the mask of all pixels in it.
    """

    key: str
    path: str
    height: int
    width: int
    masks: tuple[Mask, ...]
    crowds: tuple[Mask, ...] = ()
    boxes: tuple[Mask, ...] = ()

    @property
    def instances(self) -> tuple[Mask, ...]:
        """All instances: those with a mask, then those with a box alone."""
        return self.masks + self.boxes


class RecordCounts(NamedTuple):
    """What a record file holds.

    Attributes:
        images: all images.
        images_without_masks: those of them that no detector can learn from.
        masks: instances of at least one pixel.
        crowds: crowd regions.
        empty_masks: masks of area 0, which were left out.
    """

    images: int = 0
    images_without_masks: int = 0
    masks: int = 0
    crowds: int = 0
    empty_masks: int = 0


class Split(NamedTuple):
    """Positions in a record file, ascending, int64 [N].

    Attributes:
        train: images to train on.
        validation: images to measure AP on.
    """

    train: np.ndarray
    validation: np.ndarray


def mask_from_rle(segmentation: dict[str, Any], score: float = 1.0) -> Mask:
    """A mask with its tight box and area, from its pixels.

    Args:
        segmentation: COCO compressed RLE: `size` [height, width], `counts` as bytes or str.
        score: the confidence, in [0, 1].

    Returns:
        the mask; one without a pixel has area 0.
    """
    counts = segmentation["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    rle = {"size": list(segmentation["size"]), "counts": counts}
    x, y, width, height = coco_mask.toBbox(rle).tolist()
    return Mask(rle, (x, y, width, height), int(coco_mask.area(rle)), score)


def write_records(path: Path, records: Iterable[Record]) -> RecordCounts:
    """Writes records one by one as JSON lines, with an index beside them.

    The file is there whole or not at all. Masks of area 0 are left out.

    Args:
        path: the file to write, `*.jsonl`.
        records: the records; only one at a time is held in memory.

    Returns:
        what was written, and how many masks were left out.

    Raises:
        RecordError: the disk is full or the folder cannot be written to.
    """
    partial = path.with_suffix(".partial")
    counts = RecordCounts()
    index: list[tuple[int, int, int]] = []
    try:
        with partial.open("wb") as file:
            for record in records:
                masks, boxes = (
                    tuple(mask for mask in group if mask.area > 0)
                    for group in (record.masks, record.boxes)
                )
                count = len(masks) + len(boxes)
                index.append((file.tell(), _hash(record.path), count))
                file.write(_to_line(dataclasses.replace(record, masks=masks, boxes=boxes)))
                found = (1, not count, count, len(record.crowds), len(record.instances))
                counts = RecordCounts(*map(sum, zip(counts, found, strict=True)))
        np.save(_index_path(path), np.array(index, dtype=_INDEX))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RecordError(f"{path} cannot be written: {error.strerror}") from error
    return counts._replace(empty_masks=counts.empty_masks - counts.masks)


class RecordFile(Sequence[Record]):
    """The records of a file, each read when it is asked for.

    It holds 20 bytes per image in memory and no open file, so that workers can share it.

    Args:
        path: what `write_records` wrote.

    Raises:
        RecordError: there is no such file, or its index is damaged; where a record is read, it
            is damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise RecordError(f"there are no training records at {path}")
        self.path = path
        try:
            index = np.load(_index_path(path))
        except (OSError, EOFError, ValueError) as error:
            raise RecordError(f"the index of {path} is damaged; delete both") from error
        if not isinstance(index, np.ndarray) or index.dtype != _INDEX:
            raise RecordError(f"the index of {path} is damaged; delete both")
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> list[Record]: ...
    def __getitem__(self, position: int | slice) -> Record | list[Record]:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        with self.path.open("rb") as file:
            # Behind the end there is an empty line, which is no record.
            file.seek(max(int(self._index["offset"][position]), 0))
            return _from_line(file.readline(), self.path)

    def __iter__(self) -> Iterator[Record]:
        with self.path.open("rb") as file:
            for line in file:
                yield _from_line(line, self.path)

    def split(
        self, validation_fraction: float, max_validation: int, min_validation: int = 1
    ) -> Split:
        """Divides the images that have masks, always in the same way.

        The images whose file names have the lowest hashes are for validation, so that the split
        is the same on every machine and for every dataset of these images. An image without masks
        is in neither part: that a method found nothing does not mean that nothing is there.

        Args:
            validation_fraction: share of the images, in (0, 1); at least one image.
            max_validation: no more than so many images.
            min_validation: no fewer than so many, or half of the images.

        Returns:
            the two parts, together all images with masks.

        Raises:
            RecordError: fewer than two images have masks.
        """
        usable = np.flatnonzero(self._index["masks"])
        if len(usable) < 2:
            raise RecordError(
                f"{len(usable)} of the {len(self)} images have masks: training needs at least two, "
                f"one of them for validation"
            )
        wanted = max(round(validation_fraction * len(usable)), min_validation)
        count = min(wanted, max_validation, len(usable) // 2)
        by_hash = usable[np.argsort(self._index["hash"][usable], kind="stable")]
        return Split(np.sort(by_hash[count:]), np.sort(by_hash[:count]))

    def without(self, validation: np.ndarray) -> Split:
        """Divides the images that have masks by the validation images of another round.

        Args:
            validation: their positions.

        Returns:
            all others, and those of them that have masks here.
        """
        usable = np.flatnonzero(self._index["masks"])
        return Split(np.setdiff1d(usable, validation), np.intersect1d(usable, validation))


def _hash(path: str) -> int:
    name = os.fsencode(Path(path).name)  # it may be bytes that are not text
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")


def _index_path(path: Path) -> Path:
    return path.with_suffix(".index.npy")


def _to_line(record: Record) -> bytes:
    line = {
        "key": record.key,
        "path": record.path,
        "size": [record.height, record.width],
        "masks": [_to_entry(mask) for mask in record.masks],
        "crowds": [_to_entry(mask) for mask in record.crowds],
    }
    if record.boxes:
        line["boxes"] = [[*mask.bbox, mask.score, mask.label] for mask in record.boxes]
    return json.dumps(line).encode() + b"\n"


def _to_entry(mask: Mask) -> list[Any]:
    named = [] if mask.label == LABEL else [mask.label]
    return [mask.segmentation["counts"], mask.score, *named]


def _from_line(line: bytes, path: Path) -> Record:
    try:
        values = json.loads(line)
        key, image = values["key"], values["path"]
        if not (isinstance(key, str) and isinstance(image, str)):
            raise TypeError("a key or a path that is no text")
        height, width = (operator.index(side) for side in values["size"])
        masks, crowds = (
            tuple(_whole_mask([height, width], *entry) for entry in values[group])
            for group in ("masks", "crowds")
        )
        boxes = tuple(_whole_box([height, width], *entry) for entry in values.get("boxes", ()))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RecordError(
            f"{path} is damaged: {line[:40]!r} is no record; delete the folder of the run, and "
            f"train again"
        ) from error
    return Record(key, image, height, width, masks, crowds, boxes)


def _whole_mask(size: list[int], counts: str, score: float, label: str = LABEL) -> Mask:
    """A mask that was read; pycocotools, which measures it, believes whatever it is given."""
    _check_entry(score, label)
    mask = mask_from_rle(compressed_rle({"size": size, "counts": counts}, "it"), score)
    return dataclasses.replace(mask, label=label)


def _whole_box(size: list[int], *entry: Any) -> Mask:
    *bbox, score, label = entry
    _check_entry(score, label)
    if len(bbox) != 4 or not np.isfinite(bbox).all():
        raise ValueError("a box that is none")
    return box_mask(bbox, size[0], size[1], label, score)


def _check_entry(score: float, label: str) -> None:
    if not 0 <= score <= 1 or not isinstance(label, str):
        raise ValueError("a score or a label that is none")
