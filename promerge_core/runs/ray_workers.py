"""What the workers of a Ray run do: read the images of a shard, segment them, write the shard.

Only `ray_run` imports this module; it says what to install where Ray is not there.
"""

from __future__ import annotations

import dataclasses
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from promerge_core.backbones.loading import load_backbone
from promerge_core.config import RefinementConfig
from promerge_core.generator import MaskGenerator
from promerge_core.images import ImageError, PreparedImage, open_image, prepare_image
from promerge_core.options import BackboneOptions
from promerge_core.registry import METHODS

from .coco_json import ImageRow, skipped_row
from .shard_rows import shard_row
from .shards import ShardFolder
from .storage import ImageStore

# Reading from an object store is waiting, mostly.
_READERS = 4
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
        method: a name in `promerge_core.registry.METHODS`.
        config: the parameters of the method.
        options: which backbone computes the features; every machine can read its weights. Where
            it computes is the worker's own choice.
        weights_digest: what identifies the content of the weights file, or None.
    """

    method: str
    config: RefinementConfig
    options: BackboneOptions
    weights_digest: str | None = None

    def build(self, device: str) -> MaskGenerator:
        """The generator, on a device."""
        options = self.options
        backbone = load_backbone(options.backbone, device, options.dtype, options.weights)
        return METHODS[self.method].load()(backbone, self.config)

    def to_dict(self) -> dict[str, Any]:
        """What decides the masks, ready for JSON."""
        options = {**self.options.deciding(), "weights": self.weights_digest}
        del options["device"]
        return {"method": self.method, **options, "parameters": self.config.to_dict()}


def read_shard(store: ImageStore, size: int, table: pa.Table) -> pa.Table:
    """Reads and resizes the images of one shard.

    Args:
        store: where the images are.
        size: side in pixels of the generator's input.
        table: one row: `shard`, the shard's number, and `images`, a list of `id` and `file_name`.

    Returns:
        the same row for `ShardSegmenter`: each of the `images` has its own `width` and `height`
        and the `pixels` of the resized image (uint8 [size, size, 3] as bytes), or `skipped`, which
        says why it cannot be read.

    Raises:
        OSError: the storage failed; the image may well be there.
    """
    images = table["images"][0].as_py()
    with ThreadPoolExecutor(_READERS) as pool:
        prepared = list(pool.map(functools.partial(_read_image, store, size), images))
    return pa.table({"shard": table["shard"], "images": pa.array([prepared], _PREPARED)})


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


class ShardSegmenter:
    """The actor: prepared images of a shard -> its file.

    Args:
        folder: where the shards go.
        settings: how to build the generator.
        device: what the backbone runs on.
        batch_size: images in a batch of the backbone.
    """

    def __init__(
        self, folder: ShardFolder, settings: GeneratorSettings, device: str, batch_size: int
    ) -> None:
        self._folder = folder
        self._generator = settings.build(device)
        self._batch_size = batch_size

    def __call__(self, table: pa.Table) -> pa.Table:
        """Segments and writes the shard that `read_shard` gave; its number and that of images."""
        images = table["images"].combine_chunks().flatten()
        rows: list[ImageRow] = []
        for start in range(0, len(images), self._batch_size):
            rows += self._segment(images.slice(start, self._batch_size))
        self._folder.write(table["shard"][0].as_py(), rows)
        return pa.table({"shard": table["shard"], "images": [len(rows)]})

    def _segment(self, batch: pa.StructArray) -> list[ImageRow]:
        images = [dict(image) for image in batch]
        readable = [_prepared(image) for image in images if image["pixels"].is_valid]
        results = iter(self._generator.generate_prepared(readable))
        return [
            shard_row(image["id"].as_py(), image["file_name"].as_py(), next(results))
            if image["pixels"].is_valid
            else skipped_row(*(image[name].as_py() for name in ("id", "file_name", "skipped")))
            for image in images
        ]


def _prepared(image: dict[str, pa.Scalar]) -> PreparedImage:
    pixels = np.array(np.frombuffer(image["pixels"].as_buffer(), np.uint8))
    size = round((len(pixels) / 3) ** 0.5)
    width, height = image["width"].as_py(), image["height"].as_py()
    return PreparedImage(pixels.reshape(size, size, 3), width, height)
