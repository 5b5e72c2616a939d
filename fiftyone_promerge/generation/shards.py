"""Folders of shards -> a FiftyOne dataset, in bulk."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo

from fiftyone_promerge.coco.annotations import IMAGE_ID_FIELD
from fiftyone_promerge.fiftyone_internals import ApplyModelCall
from fiftyone_promerge.provenance import record_run
from promerge_core import ImageMasks, Mask, PromergeError, SkippedImage, Summary
from promerge_core.runs.coco_json import Record
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.sources import is_url

from .generate import check_label_field, check_same_parameters
from .writing import MaskWriter

_BATCH_SIZE = 500


def import_shards(
    dataset: fo.Dataset,
    field: str,
    folder: ShardFolder,
    images_dir: str | Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[Summary, int]:
    """Writes the masks of shards into a field, as `apply_model` would have done.

    Images are found by their path: the run's folder, or `images_dir`, and their name. An empty
    dataset gets a sample for each image. Only one batch of images is held in memory. An import
    that was stopped can be done again.

    Args:
        dataset: an image dataset.
        field: the field to write.
        folder: the shards of a run.
        images_dir: where the images lie on this machine, if not where the run found them.
        progress: called with the number of images that have just been done.

    Returns:
        counts over the images that are in the dataset, and the number of those that are not.

    Raises:
        FieldError: the field is of another type, or holds masks that were made otherwise.
        RunError: a shard is missing.
        PromergeError: none of the images is in the dataset.
    """
    known = folder.read_run()
    made_by = {name: known["run"][name] for name in ("method", "backbone", "weights", "parameters")}
    check_label_field(dataset, field)
    if dataset.has_field(field):
        check_same_parameters(dataset, made_by, field)
    root = _local_root(folder, known["root"], images_dir)
    if not len(dataset) and not root.is_dir():
        raise PromergeError(
            f"there is no folder {root}; say with --images-dir where the images lie"
        )
    locate = _find_samples if len(dataset) else _add_samples
    call = ApplyModelCall(dataset, field, skip_failures=True)
    summary = Summary()
    # At once, so that an import which is killed can be done again; again at the end.
    record_run(call, made_by, summary)
    unknown = 0
    with MaskWriter(dataset, field) as writer:
        for records in _batches(folder.records()):
            by_path = {str(root / record["file_name"]): record for record in records}
            located = locate(dataset, by_path)
            writer.write(_count(located, summary))
            unknown += len(records) - len(located)
            if progress is not None:
                progress(len(records))
    if unknown == known["images"]:
        dataset.delete_run(field)
        raise PromergeError(
            f"none of the {unknown} images is in the dataset, for example "
            f"{root / records[0]['file_name']}; say with --images-dir where they lie"
        )
    record_run(call, made_by, summary)
    return summary, unknown


def _local_root(folder: ShardFolder, root: str, images_dir: str | Path | None) -> Path:
    if images_dir is None and is_url(root):
        raise PromergeError(
            f"the images of {folder.location} lie at {root}; "
            f"say with --images-dir where they lie on this machine"
        )
    return Path(os.path.abspath(images_dir or root))  # noqa: PTH100 - keeps links


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(itertools.islice(records, _BATCH_SIZE)):
        yield batch


def _find_samples(dataset: fo.Dataset, records: dict[str, Record]) -> dict[str, Record]:
    """Records by the ids of the samples with these paths, as they are or with links resolved."""
    by_path = {str(Path(path).resolve()): record for path, record in records.items()} | records
    # select_by uses the index of the paths, which a match on an expression cannot.
    paths, ids = dataset.select_by("filepath", list(by_path)).values(["filepath", "id"])
    return {sample_id: by_path[path] for path, sample_id in zip(paths, ids, strict=True)}


def _add_samples(dataset: fo.Dataset, records: dict[str, Record]) -> dict[str, Record]:
    """Records by the ids of new samples with these paths."""
    ids = dataset.add_samples(_samples(records), progress=False)
    return dict(zip(ids, records.values(), strict=True))


def _samples(records: dict[str, Record]) -> Iterable[fo.Sample]:
    for path, record in records.items():
        sample = fo.Sample(filepath=path, **{IMAGE_ID_FIELD: record["id"]})
        if "skipped" not in record:
            sample.metadata = fo.ImageMetadata(width=record["width"], height=record["height"])
        yield sample


def _count(located: dict[str, Record], summary: Summary) -> dict[str, ImageMasks]:
    """The masks of samples, counted; an image that could not be read has none."""
    masks = {}
    for sample_id, record in located.items():
        if "skipped" in record:
            summary.skip(SkippedImage(record["file_name"], record["skipped"]))
            continue
        summary.count(len(record["masks"]), record["reason"])
        masks[sample_id] = ImageMasks(
            [_mask(row) for row in record["masks"]],
            record["width"],
            record["height"],
            record["reason"],
        )
    return masks


def _mask(row: dict[str, Any]) -> Mask:
    return Mask(row["segmentation"], tuple(row["bbox"]), row["area"], row["score"], row["facts"])
