"""Masks for many images by Ray Data, on a cluster or on this machine, into Parquet shards."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from promerge_core.backbones.loading import load_backbone
from promerge_core.config import RefinementConfig
from promerge_core.errors import MissingExtraError
from promerge_core.generator import MaskGenerator
from promerge_core.images import ImageError, PreparedImage, open_image, prepare_image
from promerge_core.registry import METHODS

from .coco_json import ImageRow, skipped_row
from .shards import ShardFolder, shard_row
from .sources import ImageEntry, RunError, digest_entries
from .storage import ImageStore
from .summary import Summary

try:
    import pyarrow as pa
    import ray
    import ray.data
except ImportError as error:
    raise MissingExtraError(
        "the engine 'ray' is not installed: pip install 'fiftyone-promerge[ray]'"
    ) from error

_OBJECT_STORE_BYTES = 2**30
# Reading from an object store is waiting, mostly.
_READERS = 4
# Part of a core that a reader takes on a machine without GPUs.
_READER_SHARE = 0.1
_PREPARED = pa.list_(
    pa.struct(
        {
            "id": pa.int64(),
            "file_name": pa.string(),
            "width": pa.int32(),
            "height": pa.int32(),
            "pixels": pa.large_binary(),
            "skipped": pa.string(),
        }
    )
)


@dataclasses.dataclass(frozen=True)
class GeneratorSettings:
    """How a worker builds its generator.

    Attributes:
        method: see `promerge_core.registry.METHODS`.
        config: the parameters of the method.
        backbone: see `load_backbone`, as for the others.
        weights: a file that every machine can read, or None.
        weights_digest: what identifies the content of that file, or None.
        dtype: number type of the backbone.
    """

    method: str
    config: RefinementConfig
    backbone: str
    weights: str | None = None
    weights_digest: str | None = None
    dtype: str = "auto"

    def build(self, device: str) -> MaskGenerator:
        """The generator, on a device."""
        backbone = load_backbone(self.backbone, device, self.dtype, self.weights)
        return METHODS[self.method].load()(backbone, self.config)

    def to_dict(self) -> dict[str, Any]:
        """What decides the masks, ready for JSON."""
        return {
            "method": self.method,
            "backbone": self.backbone,
            "weights": self.weights_digest,
            "dtype": self.dtype,
            "parameters": self.config.to_dict(),
        }


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
        shard_size: images in a shard: what is lost with a worker, and what Ray moves at once.

    Raises:
        RunError: the shard size is no multiple of the batch size, or an image's name is no text.
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
        self._folder = folder
        self._store = ImageStore(root)
        self._settings = settings
        self._batch_size = batch_size
        self._shard_size = shard_size
        self._images = _image_table(entries)
        self._digest = digest_entries(entries)

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
            RunError: the folder belongs to another run, the cluster lacks what was asked for, or
                the run failed; what was done is kept.
            PromergeError: the generator cannot be built.
        """
        size = self._settings.build("cpu").input_size
        with _cluster() as resources:
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
            "images": self._digest,
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
        """Reads, segments and writes the missing shards when it is consumed; one row a shard.

        Without GPUs an actor and its reader share a core, so that actors on all cores leave room
        for reading; with GPUs all cores are the readers'.
        """
        on_cpu = not num_gpus
        shards = ray.data.from_arrow([self._shard(number) for number in missing])
        prepared = shards.map_batches(
            functools.partial(_read_shard, self._store, size),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=_READER_SHARE if on_cpu else 1,
            compute=ray.data.TaskPoolStrategy(size=concurrency if on_cpu else None),
        )
        return prepared.map_batches(
            _ShardSegmenter,
            fn_constructor_args=(self._folder, self._settings, device, self._batch_size),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1 - _READER_SHARE if on_cpu else 0,
            num_gpus=num_gpus or None,
            compute=ray.data.ActorPoolStrategy(size=concurrency, max_tasks_in_flight_per_actor=2),
        )


class _ShardSegmenter:
    """The actor: prepared images of a shard -> its file; gives back what it holds."""

    def __init__(
        self, folder: ShardFolder, settings: GeneratorSettings, device: str, batch_size: int
    ) -> None:
        self._folder = folder
        self._generator = settings.build(device)
        self._batch_size = batch_size

    def __call__(self, table: pa.Table) -> pa.Table:
        """Segments and writes one shard."""
        images = table["images"].combine_chunks().flatten()
        rows: list[ImageRow] = []
        for start in range(0, len(images), self._batch_size):
            rows += self._segment(images.slice(start, self._batch_size))
        self._folder.write(table["shard"][0].as_py(), rows)
        return pa.table({"shard": table["shard"], "images": [len(rows)]})

    def _segment(self, batch: pa.StructArray) -> list[ImageRow]:
        rows = [dict(image) for image in batch]
        readable = [_prepared(row) for row in rows if row["pixels"].is_valid]
        results = iter(self._generator.generate_prepared(readable))
        return [
            shard_row(row["id"].as_py(), row["file_name"].as_py(), next(results))
            if row["pixels"].is_valid
            else skipped_row(*(row[name].as_py() for name in ("id", "file_name", "skipped")))
            for row in rows
        ]


def _read_shard(store: ImageStore, size: int, table: pa.Table) -> pa.Table:
    """Reads and resizes the images of one shard; one that cannot be read says why."""
    images = table["images"][0].as_py()
    with ThreadPoolExecutor(_READERS) as pool:
        rows = list(pool.map(functools.partial(_read_image, store, size), images))
    return pa.table({"shard": table["shard"], "images": pa.array([rows], _PREPARED)})


def _read_image(store: ImageStore, size: int, image: dict[str, Any]) -> dict[str, Any]:
    name = image["file_name"]
    try:
        prepared = prepare_image(open_image(f"{store.root}/{name}", store.read(name)), size)
    except ImageError as error:
        return {**image, "skipped": str(error)}
    return {
        **image,
        "width": prepared.width,
        "height": prepared.height,
        "pixels": prepared.pixels.tobytes(),
    }


def _prepared(row: dict[str, pa.Scalar]) -> PreparedImage:
    pixels = np.array(np.frombuffer(row["pixels"].as_buffer(), np.uint8))
    size = round((len(pixels) / 3) ** 0.5)
    return PreparedImage(pixels.reshape(size, size, 3), row["width"].as_py(), row["height"].as_py())


def _image_table(entries: Sequence[ImageEntry]) -> pa.Table:
    try:
        names = pa.array([entry.file_name for entry in entries], pa.string())
    except UnicodeEncodeError as error:
        raise RunError(
            f"the name {error.object!r} of an image is no text, and Parquet holds only text; "
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
            f"the run stopped: {_reason(error)}; what was done is kept, and the same command goes "
            f"on from there"
        ) from error


def _reason(error: BaseException) -> str:
    """The line of Ray's traceback that names the first error, else its first line."""
    lines = str(error).splitlines()
    named = (line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line))
    return next(named, lines[0])
