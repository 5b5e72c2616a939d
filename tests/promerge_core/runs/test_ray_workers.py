"""What a worker does, without Ray around it: the rows of a shard are those of a serial run."""

from __future__ import annotations

import json
import pickle

import pyarrow as pa
import pytest
from PIL import Image

from promerge_core import ProMergeConfig, open_image
from promerge_core.options import BackboneOptions
from promerge_core.runs.coco_json import skipped_row
from promerge_core.runs.ray_workers import GeneratorSettings, ShardSegmenter, read_shard
from promerge_core.runs.shard_rows import shard_row
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.storage import ImageStore

BATCH_SIZE = 2
SETTINGS = GeneratorSettings(
    "promerge",
    ProMergeConfig(image_size=64, seed_stride=2),
    BackboneOptions(backbone="embedded", dtype="float32"),
)
NAMES = ["a.png", "b/c.png", "words.png", "none.png", "d.png"]
READABLE = ["a.png", "b/c.png", "d.png"]


@pytest.fixture
def photos(tmp_path, scene):
    """Three images, and a text file with the name of one."""
    (tmp_path / "b").mkdir()
    for number, name in enumerate(READABLE):
        Image.fromarray(scene(50 + 9 * number, 80 - 7 * number, number)).save(tmp_path / name)
    (tmp_path / "words.png").write_text("These are words.")
    return tmp_path


@pytest.fixture
def prepared(photos):
    """All names as the shard 0, read."""
    images = [{"id": number, "file_name": name} for number, name in enumerate(NAMES, 1)]
    table = pa.table({"shard": [0], "images": [images]})
    return read_shard(ImageStore(str(photos)), 64, table)


def test_images_are_read_and_those_that_cannot_be_say_why(prepared, photos):
    generator = SETTINGS.build("cpu")
    for image in prepared["images"][0].as_py():
        if image["file_name"] in READABLE:
            expected = generator.prepare(open_image(photos / image["file_name"]))
            assert image["pixels"] == expected.pixels.tobytes()
            assert (image["width"], image["height"]) == (expected.width, expected.height)
            assert image["skipped"] is None
        else:
            assert image["pixels"] is None
            assert f"{photos}/{image['file_name']}: n" in image["skipped"]


def test_a_shard_holds_the_masks_of_a_serial_run(prepared, photos, tmp_path):
    folder = ShardFolder(str(tmp_path / "shards"))
    folder.begin({"shard_size": len(NAMES)}, str(photos), len(NAMES))
    segmenter = ShardSegmenter(folder, SETTINGS, "cpu", BATCH_SIZE)
    done = segmenter(prepared)
    assert done.to_pylist() == [{"shard": 0, "images": len(NAMES)}]
    # In batches of the shard's images: what cannot be read takes its place in one.
    generator = SETTINGS.build("cpu")
    masks = {}
    for batch in (["a.png", "b/c.png"], ["d.png"]):
        found = generator.generate([open_image(photos / name) for name in batch])
        masks |= dict(zip(batch, found, strict=True))
    reasons = {image["file_name"]: image["skipped"] for image in prepared["images"][0].as_py()}
    expected = [
        shard_row(number, name, masks[name])
        if name in masks
        else skipped_row(number, name, reasons[name])
        for number, name in enumerate(NAMES, 1)
    ]
    assert list(folder.rows()) == json.loads(json.dumps(expected))
    assert sum(map(len, masks.values())) > 2


def test_settings_reach_a_worker_as_they_are():
    assert pickle.loads(pickle.dumps(SETTINGS)) == SETTINGS
    assert SETTINGS.to_dict()["parameters"] == SETTINGS.config.to_dict()
    assert json.loads(json.dumps(SETTINGS.to_dict())) == SETTINGS.to_dict()
