"""The rows of shards: as they are written, and as they are read where they are whole."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from promerge_core.errors import MissingExtraError
from promerge_core.generator import ImageMasks

from .coco_json import ImageRow, image_row, row_fault, skipped_row, summarise
from .sources import RunError
from .summary import Summary

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingExtraError("shards need pyarrow: pip install 'fiftyone-promerge[ray]'") from error

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "file_name": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "masks": pa.list_(
            pa.struct(
                {
                    "segmentation": pa.struct(
                        {"size": pa.list_(pa.int32(), 2), "counts": pa.string()}
                    ),
                    "bbox": pa.list_(pa.float64(), 4),
                    "area": pa.int64(),
                    "score": pa.float64(),
                    "facts": pa.map_(pa.string(), pa.float64()),
                }
            )
        ),
        "reason": pa.string(),
        "skipped": pa.string(),
        "run": pa.string(),
    }
)
"""One row per image, as in `promerge_core.runs.coco_json`, its masks with their facts.

`run` is a digest of what the run is; null was written by an earlier version.
"""

MOST_SHARDS = 1_000_000
"""As many as the names of the files can number; a run of more images needs larger shards."""


def shard_row(image_id: int, file_name: str, masks: ImageMasks) -> ImageRow:
    """The row of an image that was processed, with the facts of its masks.

    Args:
        image_id: COCO image id.
        file_name: the image's path relative to the run's root.
        masks: what was found in it.

    Returns:
        as `image_row`, and each of the `masks` has its `facts` (name -> number).
    """
    row = image_row(image_id, file_name, masks)
    for found, mask in zip(row["masks"], masks, strict=True):
        found["facts"] = mask.facts
    return row


def read_rows(stored: pa.RecordBatch, shard: str, run: str) -> Iterator[ImageRow]:
    """The rows of a batch of a Parquet file; see `read_row`.

    Args:
        stored: the batch.
        shard: the file it stands in, for the error message.
        run: what `run_digest` gives for the run whose rows are read.

    Returns:
        the rows, in their order.

    Raises:
        RunError: a row is damaged, or another run's.
    """
    try:
        rows = stored.to_pylist()
    except UnicodeDecodeError as error:
        raise damaged(shard, "a text in it is not UTF-8") from error
    for row in rows:
        yield read_row(row, shard, run)


def read_row(stored: dict[str, Any], shard: str, run: str | None = None) -> ImageRow:
    """A row of a Parquet file as the row that was written.

    Args:
        stored: the row as Arrow gives it, of the types of the shards' schema; where the masks were
            not read, `masks` is their number.
        shard: the file it stands in, for the error message.
        run: what `run_digest` gives for the run whose rows are read.

    Returns:
        the row, with as many None as there are masks where they were not read.

    Raises:
        RunError: the row is damaged, or another run's.
    """
    if stored["run"] not in (None, run):
        raise RunError(
            f"{shard} is another run's; delete it, and the command that began the run makes it"
        )
    wrong = row_fault(stored)
    if wrong is not None:
        raise damaged(shard, f"the row of {stored['file_name']!r:.80} has {wrong}")
    if stored["skipped"] is not None:
        return skipped_row(stored["id"], stored["file_name"], stored["skipped"])
    masks = stored["masks"]
    if isinstance(masks, int):
        masks = [None] * masks
    else:
        masks = [{**mask, "facts": dict(mask["facts"])} for mask in masks]
    names = ("id", "file_name", "width", "height", "reason")
    return {**{name: stored[name] for name in names}, "masks": masks}


def damaged(shard: str, why: str) -> RunError:
    """The error of a shard that cannot be read.

    Args:
        shard: the file.
        why: what is wrong in it.

    Returns:
        an error that says how to get the shard again.
    """
    return RunError(
        f"{shard} is damaged, {why}; delete it, and the command that began the run makes it again"
    )


def is_run(known: Any) -> bool:
    """Whether this is what `ShardFolder.begin` writes of a run."""
    if not isinstance(known, dict) or not isinstance(known.get("run"), dict):
        return False
    images, size = known.get("images"), known["run"].get("shard_size")
    counts = isinstance(images, int) and isinstance(size, int) and images >= 0 and size > 0
    return counts and images <= size * MOST_SHARDS and isinstance(known.get("root"), str)


def run_digest(run: dict[str, Any]) -> str:
    """What identifies a run in its shards: a digest of what decides its masks."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:16]


def shard_name(number: int) -> str:
    """The name of a shard's file."""
    return f"shard-{number:06}.parquet"


def is_shard(name: str) -> bool:
    """Whether a file is named as one of a shard."""
    return name.startswith("shard-") and name.endswith(".parquet")


def shard_index(rows: Iterator[ImageRow], names: Sequence[str], size: int) -> dict[str, Any]:
    """What a run did, and what each shard holds.

    Args:
        rows: those of the run, in its order.
        names: of the shards' files.
        size: images of a shard.

    Returns:
        the content of the index, ready for JSON.
    """
    total, shards = Summary(), []
    for name in names:
        block = list(itertools.islice(rows, size))
        summary = summarise(block)
        total.merge(summary)
        shards.append(
            {
                "file": name,
                "first": block[0]["file_name"],
                "last": block[-1]["file_name"],
                "images": summary.images,
                "masks": summary.masks,
                "skipped": len(summary.skipped),
            }
        )
    return {"summary": total.to_dict(), "shards": shards}
