"""Masks for many images by Ray Data, on a cluster or on this machine, into Parquet shards."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from promerge_core.errors import MissingExtraError

try:
    import pyarrow as pa
    import ray
    import ray.data
except ImportError as error:
    raise MissingExtraError(
        "the engine 'ray' is not installed: pip install 'fiftyone-promerge[ray]'"
    ) from error

from .ray_workers import GeneratorSettings, ShardSegmenter, read_shard
from .shard_rows import MOST_SHARDS
from .shards import ShardFolder
from .sources import ImageEntry, RunError, run_identity
from .storage import ImageStore
from .summary import Summary

_OBJECT_STORE_BYTES = 2**30
# Part of a core that a reader takes on a machine without GPUs.
_READER_SHARE = 0.1


class RayRun:
    """Segments images in a pool of Ray actors and writes their masks as shards.

    Ray Data reads and resizes the images of one shard after the other wherever a core is free,
    and hands each shard to an actor that holds a generator. The actor segments it in batches that
    depend on the shard alone, and writes it. Ray gives the shard of an actor that died to another
    one, and a later run makes only what is missing, so each image is in the shards exactly once,
    with the masks that `MaskGenerator.generate` gives for the same batches.

    Args:
        folder: where the shards go; every machine must be able to write there.
        root: the folder or URL that the images' names are relative to; every machine must be able
            to read there.
        entries: the images, in the order of the run.
        settings: how to build the generator.
        batch_size: images in a batch of the backbone.
        shard_size: images per shard: what is lost with a worker, and what Ray moves at once.

    Raises:
        RunError: the shard size is no multiple of the batch size or too small for so many images,
            or an image's name is not text.
    """

    def __init__(
        self,
        folder: ShardFolder,
        root: str,
        entries: Sequence[ImageEntry],
        settings: GeneratorSettings,
        batch_size: int = 8,
        shard_size: int = 128,
    ) -> None:
        if shard_size % batch_size:
            raise RunError(
                f"shard_size must be a multiple of batch_size; got {shard_size} and {batch_size}"
            )
        if len(entries) > MOST_SHARDS * shard_size:
            raise RunError(
                f"{len(entries)} images in shards of {shard_size} are more than {MOST_SHARDS} "
                f"shards; give a larger shard_size"
            )
        self._folder = folder
        self._store = ImageStore(root)
        self._settings = settings
        self._batch_size = batch_size
        self._shard_size = shard_size
        self._images = _image_table(entries)
        self._identity = run_identity(entries)

    def run(
        self,
        concurrency: int | None = None,
        num_gpus: float | None = None,
        overwrite: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Summary:
        """Makes the shards that are missing, and the index.

        Args:
            concurrency: the number of actors; by default as many as the cluster has room for.
            num_gpus: GPUs of each actor, also fractions; by default one if the cluster has any,
                and 0 keeps to CPUs.
            overwrite: remove what an earlier run left in the folder first.
            progress: called with the number of images that have just been done.

        Returns:
            counts over all images, those of earlier runs included.

        Raises:
            RunError: the folder belongs to another run or another process is writing it, the
                cluster lacks what was asked for, or the run failed; what was done is kept.
            PromergeError: the generator cannot be built.
        """
        size = self._settings.build("cpu").input_size
        with self._folder.hold(), _cluster() as resources:
            num_gpus = _check_gpus(num_gpus, resources)
            if concurrency is None:
                concurrency = _room(num_gpus, resources)
            device = "cuda" if num_gpus else "cpu"
            if overwrite:
                self._folder.discard()
            self._folder.begin(self._header(device), self._store.root, len(self._images))
            missing = self._folder.missing()
            if progress is not None:
                progress(len(self._images) - sum(map(self._images_in, missing)))
            if missing:
                shards = self._pipeline(missing, size, device, concurrency, num_gpus)
                _consume(shards, progress)
            return self._folder.finish()

    def _header(self, device: str) -> dict[str, Any]:
        return {
            **self._settings.to_dict(),
            "device": device,
            "batch_size": self._batch_size,
            "shard_size": self._shard_size,
            **self._identity,
        }

    def _shard(self, number: int) -> pa.Table:
        """The images of a shard, as one row: Ray never splits a row."""
        images = self._images.slice(number * self._shard_size, self._shard_size)
        return pa.table({"shard": [number], "images": [images.to_pylist()]})

    def _images_in(self, shard: int) -> int:
        return min(self._shard_size, len(self._images) - shard * self._shard_size)

    def _pipeline(
        self, missing: Sequence[int], size: int, device: str, concurrency: int, num_gpus: float
    ) -> ray.data.Dataset:
        """Reads, segments and writes the missing shards when it is consumed; one row per shard.

        Without GPUs an actor and its reader share a core, so that actors on all cores leave room
        for reading; with GPUs all cores are the readers'.
        """
        on_cpu = not num_gpus
        shards = ray.data.from_arrow([self._shard(number) for number in missing])
        prepared = shards.map_batches(
            functools.partial(read_shard, self._store, size),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=_READER_SHARE if on_cpu else 1,
            compute=ray.data.TaskPoolStrategy(size=concurrency if on_cpu else None),
        )
        return prepared.map_batches(
            ShardSegmenter,
            fn_constructor_args=(self._folder, self._settings, device, self._batch_size),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1 - _READER_SHARE if on_cpu else 0,
            num_gpus=num_gpus or None,
            compute=ray.data.ActorPoolStrategy(size=concurrency, max_tasks_in_flight_per_actor=2),
        )


def _image_table(entries: Sequence[ImageEntry]) -> pa.Table:
    try:
        names = pa.array([entry.file_name for entry in entries], pa.string())
    except UnicodeEncodeError as error:
        raise RunError(
            f"the name {error.object!r} of an image is not text, and Parquet holds only text; "
            f"rename the file"
        ) from error
    return pa.table(
        {"id": pa.array([entry.id for entry in entries], pa.int64()), "file_name": names}
    )


@contextlib.contextmanager
def _cluster() -> Iterator[dict[str, float]]:
    """The resources of the cluster at RAY_ADDRESS, else of one started on this machine."""
    if ray.is_initialized():
        yield ray.cluster_resources()
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local: dict[str, Any] = {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    ray.init(
        logging_level=logging.ERROR,
        log_to_driver=False,
        **({} if "RAY_ADDRESS" in os.environ else local),
    )
    try:
        yield ray.cluster_resources()
    finally:
        ray.shutdown()


def _check_gpus(num_gpus: float | None, resources: dict[str, float]) -> float:
    """GPUs of each actor.

    Raises:
        RunError: the cluster has none.
    """
    has_gpus = resources.get("GPU", 0) > 0
    if num_gpus is None:
        return float(has_gpus)
    if num_gpus and not has_gpus:
        raise RunError("the cluster has no GPU; leave --num-gpus out, or give 0")
    return num_gpus


def _room(num_gpus: float, resources: dict[str, float]) -> int:
    """The number of actors that the cluster has room for."""
    if num_gpus:
        return max(1, int(resources["GPU"] / num_gpus))
    return max(1, int(resources["CPU"]))


def _consume(shards: ray.data.Dataset, progress: Callable[[int], object] | None) -> None:
    """Runs the pipeline to its end."""
    shards.context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        for row in shards.iter_rows():
            if progress is not None:
                progress(row["images"])
    except ray.exceptions.RayError as error:
        raise RunError(
            f"the run stopped: {_reason(error)}; what was done is kept, and the same command "
            f"continues from there"
        ) from error


def _reason(error: BaseException) -> str:
    """The line of Ray's traceback that names the first error, else its first line."""
    lines = str(error).splitlines()
    named = (line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line))
    return next(named, lines[0])
