"""The engine ray: whatever dies on the way, each image once, as the serial run has it.

One run goes through it all. The command is killed with everything it started; then the same run is
finished here, while workers are killed at random.
"""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import psutil
import pytest
from PIL import Image

from promerge_core import (
    ImageError,
    MissingExtraError,
    ProMergeConfig,
    open_image,
)
from promerge_core.options import BackboneOptions
from promerge_core.runs.coco_json import skipped_row
from promerge_core.runs.ray_run import GeneratorSettings, RayRun
from promerge_core.runs.shard_rows import shard_row
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.sources import RunError, find_images

BATCH_SIZE, SHARD_SIZE, KILLS = 3, 6, 2
SETTINGS = GeneratorSettings(
    "promerge",
    ProMergeConfig(image_size=64, seed_stride=2),
    BackboneOptions(backbone="embedded", dtype="float32"),
)
FLAGS = "--backbone embedded --image-size 64 --seed-stride 2 --dtype float32 --concurrency 1"


@pytest.fixture(scope="module")
def photos(tmp_path_factory, scene):
    """Fifty images of many sizes and modes, two of which cannot be read."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(50):
        image = Image.fromarray(scene(40 + number, 110 - number, number))
        path = folder / str(number % 3) / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        if number == 7:
            exif = Image.Exif()
            exif[274] = 6
            image.save(path.with_suffix(".jpg"), exif=exif)
        elif number == 20:
            Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)
        elif number == 30:
            path.write_text("These are words.")
        else:
            image.save(path)
    (folder / "0" / "00.png").write_bytes((folder / "0" / "03.png").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def serial(photos):
    """The rows of a run without Ray, in the same batches."""
    generator = SETTINGS.build("cpu")
    entries = find_images(photos)
    rows = []
    for start in range(0, len(entries), BATCH_SIZE):
        batch, images = entries[start : start + BATCH_SIZE], []
        for entry in batch:
            try:
                images.append(generator.prepare(open_image(entry.path)))
            except ImageError as error:
                images.append(str(error))
        results = iter(generator.generate_prepared([i for i in images if not isinstance(i, str)]))
        for entry, image in zip(batch, images, strict=True):
            if isinstance(image, str):
                rows.append(skipped_row(entry.id, entry.file_name, image))
            else:
                rows.append(shard_row(entry.id, entry.file_name, next(results)))
    return rows


@pytest.fixture(scope="module")
def session():
    """Ray on this machine, for all runs in this process."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=2**27,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


class Survived(NamedTuple):
    """A run that was killed in every way, and ended.

    Attributes:
        run: the run.
        folder: its shards.
        early: shards that the killed command left -> when they were written, in ns.
        kills: titles of the workers that were killed later.
        progress: what the last run reported.
    """

    run: RayRun
    folder: ShardFolder
    early: dict[str, int]
    kills: list[str]
    progress: list[int]


@pytest.fixture(scope="module")
def survived(photos, session, tmp_path_factory):
    location = tmp_path_factory.mktemp("run") / "shards"
    early = killed_command(photos, location)
    folder = ShardFolder(str(location))
    run = RayRun(folder, str(photos), find_images(photos), SETTINGS, BATCH_SIZE, SHARD_SIZE)
    kills, progress = [], []
    killer = threading.Thread(target=kill_workers, args=(location, kills), daemon=True)
    killer.start()
    run.run(concurrency=1, progress=progress.append)
    killer.join()
    return Survived(run, folder, early, kills, progress)


def written(location):
    return {path.name: path.stat().st_mtime_ns for path in location.glob("shard-*")}


def killed_command(photos, location):
    """Runs the command and kills it with all its processes; the shards it left behind."""
    main = "from fiftyone_promerge.cli import main; main()"
    command = [sys.executable, "-c", main, "generate", photos]
    command += ["--engine", "ray", "--output", location, *FLAGS.split()]
    command += ["--batch-size", BATCH_SIZE, "--shard-size", SHARD_SIZE]
    with subprocess.Popen([str(word) for word in command]) as process:
        while not written(location):
            assert process.poll() is None
            time.sleep(0.01)
        family = [psutil.Process(process.pid)]
        family += family[0].children(recursive=True)
        for member in family:
            kill(member)
    # A worker that still lives could write one more shard after they are counted.
    while any(map(is_alive, family)):
        time.sleep(0.01)
    return written(location)


def kill(process):
    """Kills a process; False where it had ended by itself."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_workers(location, kills):
    """Kills a worker that is at work, chosen at random, each time a shard was written."""
    seen = written(location)
    while len(kills) < KILLS:
        time.sleep(0.005)
        if written(location) == seen:
            continue
        workers = [
            (process, title)
            for process in psutil.Process().children(recursive=True)
            if (title := work_of(process))
        ]
        if not workers:
            continue
        process, title = random.choice(workers)
        if kill(process):
            kills.append(title)
            seen = written(location)


def work_of(process):
    """What a worker of the pipeline says it does; None for other processes and idle workers."""
    try:
        title = process.cmdline()[0].strip()
    except (psutil.Error, IndexError):
        return None
    at_work = title.startswith("ray::Map") and not title.endswith("__init__")
    return title if at_work else None


def test_each_image_is_there_once_with_the_masks_of_the_serial_run(survived, serial):
    assert len(survived.kills) == KILLS
    found = list(survived.folder.rows())
    assert [row["file_name"] for row in found] == [r["file_name"] for r in serial]
    for row, expected in zip(found, serial, strict=True):
        for mask in expected.get("masks", ()):
            mask["bbox"] = list(mask["bbox"])
        assert row == expected
    assert sum(len(row.get("masks", ())) for row in found) > 50
    assert [r["id"] for r in found if "skipped" in r] != []


def test_what_was_done_before_is_not_done_again(survived):
    now = written(Path(survived.folder.location))
    assert len(now) == 9
    assert survived.early.items() <= now.items()
    assert 0 < len(survived.early) < 9
    assert survived.progress[0] == len(survived.early) * SHARD_SIZE
    assert sum(survived.progress) == 50


def test_nothing_but_the_run_is_left(survived):
    names = {path.name for path in Path(survived.folder.location).iterdir()}
    assert names - set(written(Path(survived.folder.location))) == {"run.json", "index.json"}


def test_a_finished_run_is_not_done_again(survived):
    before = written(Path(survived.folder.location))
    progress = []
    summary = survived.run.run(concurrency=1, progress=progress.append)
    assert (summary.images, len(summary.skipped), progress) == (48, 2, [50])
    assert written(Path(survived.folder.location)) == before


@pytest.mark.parametrize(
    "change",
    [
        {"options": BackboneOptions(backbone="dino_vits8", dtype="float32")},
        {"config": ProMergeConfig(image_size=64, seed_stride=3)},
        {"weights_digest": "0" * 64},
        {"options": BackboneOptions(backbone="embedded", dtype="bfloat16")},
    ],
)
def test_other_settings_are_refused(survived, photos, change, monkeypatch):
    settings = SETTINGS.__class__(**{**vars(SETTINGS), **change})
    # The generator of other settings may need weights; that they differ is known without it.
    monkeypatch.setattr(GeneratorSettings, "build", lambda *_: SimpleNamespace(input_size=64))
    run = RayRun(
        survived.folder, str(photos), find_images(photos), settings, BATCH_SIZE, SHARD_SIZE
    )
    with pytest.raises(RunError, match="other settings; choose another folder"):
        run.run(concurrency=1)
    assert survived.folder.missing() == []


def test_other_images_or_batches_are_refused(survived, photos):
    entries = find_images(photos)
    for images, batch_size in ((entries[1:], BATCH_SIZE), (entries, 2)):
        run = RayRun(survived.folder, str(photos), images, SETTINGS, batch_size, SHARD_SIZE)
        with pytest.raises(RunError, match="made from other images or with other settings"):
            run.run(concurrency=1)


def test_a_batch_that_does_not_divide_a_shard_is_refused(photos, tmp_path):
    with pytest.raises(RunError, match="shard_size must be a multiple of batch_size; got 6 and 4"):
        RayRun(ShardFolder(str(tmp_path)), str(photos), find_images(photos), SETTINGS, 4, 6)


def test_gpus_that_are_not_there_are_named(session, photos, tmp_path):
    run = RayRun(ShardFolder(str(tmp_path)), str(photos), find_images(photos), SETTINGS, 1, 1)
    with pytest.raises(RunError, match="the cluster has no GPU; leave --num-gpus out"):
        run.run(num_gpus=0.5)


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "promerge_core.runs.ray_run")
    with pytest.raises(MissingExtraError, match=r"pip install 'fiftyone-promerge\[ray\]'"):
        importlib.import_module("promerge_core.runs.ray_run")
