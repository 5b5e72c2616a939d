"""Labels for the next round: what a detector is sure of, and the old masks it did not find."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask
from torch.utils.data import DataLoader

from fiftyone_promerge.training.data.records import Record, RecordFile, write_records
from fiftyone_promerge.training.data.samples import RecordImages
from fiftyone_promerge.training.engines.base import Detector, Stop, TrainingStoppedError, World
from promerge_core import Mask

_CHUNK = 500  # images; what is lost at the most when a process is killed
_BATCH_SIZE = 4  # images
_POLL_SECONDS = 1.0


class LabelRule(NamedTuple):
    """Which masks become labels (CutLER, section 3.4).

    Attributes:
        score_threshold: a prediction with at least this score is a label.
        label_iou: an old mask is kept unless its IoU with a prediction is at least this.
    """

    score_threshold: float
    label_iou: float


def combine(predictions: Sequence[Mask], old: Sequence[Mask], rule: LabelRule) -> list[Mask]:
    """The labels of one image for the next round.

    Args:
        predictions: masks that a detector found.
        old: the masks it was trained on.
        rule: which of them to take.

    Returns:
        the predictions that are sure, then the old masks that none of these covers.
    """
    sure = [mask for mask in predictions if mask.score >= rule.score_threshold]
    if not sure or not old:
        return [*sure, *old]
    ious = coco_mask.iou(
        [mask.segmentation for mask in old], [mask.segmentation for mask in sure], [0] * len(sure)
    )
    uncovered = np.asarray(ious).max(1) < rule.label_iou
    return [*sure, *itertools.compress(old, uncovered)]


def write_labels(
    detector: Detector,
    old: RecordFile,
    path: Path,
    rule: LabelRule,
    num_workers: int = 0,
    world: World | None = None,
    stop: Stop = bool,
) -> None:
    """Writes the records of the next round.

    Every process of the world must call it; each does a part of the images. A call that was killed
    continues when it is repeated, even with another number of processes. An image that cannot be
    read keeps its old masks.

    Args:
        detector: the detector of the round before.
        old: its records.
        path: the record file to write; in the end it is there for every process.
        rule: which masks to take.
        num_workers: processes that read images.
        world: the processes that share the work; None is this one alone.
        stop: whether to stop.

    Raises:
        TrainingStoppedError: it was asked to stop; what is done is kept.
        RecordError: the disk is full.
    """
    world = world or World()
    starts = range(0, len(old), _CHUNK)
    parts = [path.with_name(f"{path.stem}.{start}.jsonl") for start in starts]
    for start, part in list(zip(starts, parts, strict=True))[world.rank :: world.world_size]:
        if not part.exists() and not path.exists():
            chunk = range(start, min(start + _CHUNK, len(old)))
            write_records(part, _label(detector, old, chunk, rule, num_workers, stop))
    if world.rank == 0 and not path.exists():
        wait_for(parts)
        write_records(path, itertools.chain.from_iterable(map(RecordFile, parts)))
        for part in parts:
            part.unlink()
            part.with_suffix(".index.npy").unlink()
    wait_for([path])


def _label(
    detector: Detector,
    old: RecordFile,
    positions: range,
    rule: LabelRule,
    num_workers: int,
    stop: Stop,
) -> Iterator[Record]:
    images = RecordImages(old, positions)
    loader = DataLoader(images, batch_size=_BATCH_SIZE, num_workers=num_workers, collate_fn=list)
    for batch in loader:
        if stop():
            raise TrainingStoppedError(
                "stopped while labels for the next round were made; the same call goes on there"
            )
        readable = [pixels for _, pixels in batch if pixels is not None]
        found = iter(detector.predict(readable) if readable else [])
        for position, pixels in batch:
            record = old[position]
            predictions = [] if pixels is None else next(found)
            masks = combine(predictions, record.instances, rule)
            boxes = tuple(mask for mask in masks if mask in record.boxes)
            others = tuple(mask for mask in masks if mask not in record.boxes)
            yield dataclasses.replace(record, masks=others, boxes=boxes)


def wait_for(paths: Sequence[Path]) -> None:
    """Waits for files of other processes; torchrun ends all of them when one fails."""
    while not all(path.exists() for path in paths):
        time.sleep(_POLL_SECONDS)
