"""Folders of shards -> a FiftyOne dataset, in bulk."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.media as fomm

from fiftyone_promerge.coco.annotations import IMAGE_ID_FIELD
from fiftyone_promerge.fields import check_images, check_label_field, count_samples
from fiftyone_promerge.fiftyone_internals import ApplyModelCall
from fiftyone_promerge.provenance import (
    check_same_parameters,
    mask_run_key,
    record_run,
    recorded_run,
)
from promerge_core import ImageMasks, Mask, PromergeError, Summary
from promerge_core.runs.coco_json import ImageRow, summarise
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.sources import RunError, is_url

from .writing import MaskWriter

_BATCH_SIZE = 500

# Option in the record of an import that adds samples, until it ends.
_ADDS = "adds_samples"


def import_shards(
    dataset: fo.Dataset,
    field: str,
    folder: ShardFolder,
    images_dir: str | Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[Summary, int]:
    """Writes the masks of shards into a field, as `apply_model` would have done.

    Images are found by their path: the run's folder, or `images_dir`, and their name. An empty
    dataset gets a sample for each image that FiftyOne takes for one by its suffix. An image that
    has a label in the field already is left alone, so an import that was stopped can be done again.
    Only one batch of images is held in memory.

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
        RunError: a shard is missing or damaged, or an image lies outside the images' folder.
        PromergeError: none of the images is in the dataset.
    """
    known = folder.read_run()
    made_by = _made_by(folder, known["run"])
    check_images(dataset)
    check_label_field(dataset, field)
    is_new = recorded_run(dataset, field) is None
    if dataset.has_field(field):
        check_same_parameters(dataset, made_by, field)
    # One that was killed while it added samples adds the others.
    adds = not count_samples(dataset) or _was_adding(dataset, field)
    root = _local_root(folder, known["root"], images_dir, must_exist=adds)
    call = ApplyModelCall(dataset, field, skip_failures=True)
    # At once, so that an import which is killed can be done again; again at the end.
    record_run(call, made_by, Summary(), {_ADDS: adds})
    summary = _write_masks(dataset, field, folder, root, adds, progress)
    unknown = known["images"] - summary.images - len(summary.skipped)
    if unknown == known["images"]:
        if is_new:
            dataset.delete_run(mask_run_key(dataset, field))
        raise PromergeError(
            f"none of the {unknown} images is in the dataset, for example "
            f"{root / next(folder.rows(with_masks=False))['file_name']}; "
            f"say with --images-dir where they lie"
        )
    record_run(call, made_by, summary)
    return summary, unknown


def _made_by(folder: ShardFolder, run: dict[str, Any]) -> dict[str, Any]:
    """What made the masks, see `provenance.run_record`; RunError where the run does not say it."""
    made_by = {name: run.get(name) for name in ("method", "backbone", "weights", "parameters")}
    parameters = made_by["parameters"]
    is_whole = (
        all(isinstance(made_by[name], str) for name in ("method", "backbone"))
        and isinstance(made_by["weights"], str | None)
        and isinstance(parameters, dict)
        and all(name.isidentifier() for name in parameters)
        and all(isinstance(value, str | float | int | None) for value in parameters.values())
    )
    if not is_whole:
        raise RunError(
            f"{folder.location} does not say what made its masks: method, backbone, weights and "
            f"parameters; make the shards again"
        )
    return made_by


def _write_masks(
    dataset: fo.Dataset,
    field: str,
    folder: ShardFolder,
    root: Path,
    adds: bool,
    progress: Callable[[int], object] | None,
) -> Summary:
    """Writes the masks of all images that are in the dataset, and counts these images."""
    locate = _find_or_add_samples if adds else _find_samples
    summary = Summary()
    with MaskWriter(dataset, field) as writer:
        for rows in _batches(folder.rows()):
            located = locate(dataset, {_path(root, row["file_name"]): row for row in rows})
            writer.write(_masks(located))
            summary.merge(summarise(located.values()))
            if progress is not None:
                progress(len(rows))
    return summary


def _local_root(
    folder: ShardFolder, root: str, images_dir: str | Path | None, must_exist: bool
) -> Path:
    if images_dir is None and is_url(root):
        raise PromergeError(
            f"the images of {folder.location} lie at {root}; "
            f"say with --images-dir where they lie on this machine"
        )
    local = Path(os.path.abspath(images_dir or root))  # noqa: PTH100 - keeps links
    if must_exist and not local.is_dir():
        raise PromergeError(
            f"there is no folder {local}; say with --images-dir where the images lie"
        )
    return local


def _path(root: Path, file_name: str) -> str:
    """The path of an image; RunError where it would lie outside the images' folder."""
    path = Path(os.path.normpath(root / file_name))
    if path == root or not path.is_relative_to(root) or "\0" in file_name:
        raise RunError(f"the image {file_name!r} of the shards lies outside {root}")
    return str(root / file_name)


def _batches(rows: Iterator[ImageRow]) -> Iterator[list[ImageRow]]:
    while batch := list(itertools.islice(rows, _BATCH_SIZE)):
        yield batch


def _find_samples(dataset: fo.Dataset, rows: dict[str, ImageRow]) -> dict[str, ImageRow]:
    """Rows by the ids of the samples with these paths, as they are or with links resolved."""
    by_path = {str(Path(path).resolve()): row for path, row in rows.items()} | rows
    # select_by uses the index of the paths, which a match on an expression cannot.
    paths, ids = dataset.select_by("filepath", list(by_path)).values(["filepath", "id"])
    return {sample_id: by_path[path] for path, sample_id in zip(paths, ids, strict=True)}


def _was_adding(dataset: fo.Dataset, field: str) -> bool:
    """Whether an import that adds samples was begun and did not end."""
    if recorded_run(dataset, field) is None:
        return False
    run = dataset.get_run_info(mask_run_key(dataset, field)).config.serialize()
    return bool(run.get("options", {}).get(_ADDS))


def _find_or_add_samples(dataset: fo.Dataset, rows: dict[str, ImageRow]) -> dict[str, ImageRow]:
    """Rows by the ids of the samples with these paths, those that are not there added."""
    found = _find_samples(dataset, rows)
    known = {id(row) for row in found.values()}
    new = {path: row for path, row in rows.items() if id(row) not in known}
    return found | _add_samples(dataset, new)


def _add_samples(dataset: fo.Dataset, rows: dict[str, ImageRow]) -> dict[str, ImageRow]:
    """Rows by the ids of new samples with these paths; there are none of what is no image."""
    rows = {path: row for path, row in rows.items() if fomm.get_media_type(path) == fomm.IMAGE}
    ids = dataset.add_samples(_samples(rows), progress=False)
    return dict(zip(ids, rows.values(), strict=True))


def _samples(rows: dict[str, ImageRow]) -> Iterable[fo.Sample]:
    for path, row in rows.items():
        sample = fo.Sample(filepath=path, **{IMAGE_ID_FIELD: row["id"]})
        if "skipped" not in row:
            sample.metadata = fo.ImageMetadata(width=row["width"], height=row["height"])
        yield sample


def _masks(located: dict[str, ImageRow]) -> dict[str, ImageMasks]:
    """The masks of samples; an image that could not be read has none."""
    return {
        sample_id: ImageMasks(
            [_mask(found) for found in row["masks"]], row["width"], row["height"], row["reason"]
        )
        for sample_id, row in located.items()
        if "skipped" not in row
    }


def _mask(found: dict[str, Any]) -> Mask:
    box = tuple(found["bbox"])
    return Mask(found["segmentation"], box, found["area"], found["score"], found["facts"])
