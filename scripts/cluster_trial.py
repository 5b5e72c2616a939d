"""Kills workers of `promerge generate --engine ray` at random, and compares with a serial run.

    python scripts/cluster_trial.py FOLDER --images 2000 --every 15 --concurrency 2

FOLDER gets drawn photos, the shards and `figures.json`. `--every 0` kills nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from promerge_core import ImageError, PreparedImage, ProMergeConfig, open_image
from promerge_core.options import BackboneOptions
from promerge_core.runs.coco_json import skipped_row
from promerge_core.runs.ray_run import GeneratorSettings
from promerge_core.runs.shard_rows import shard_row
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.sources import find_images

CONFIG = ProMergeConfig(image_size=128, seed_stride=2)
BATCH_SIZE, SHARD_SIZE = 8, 32


def main() -> None:
    """Runs the trial and prints its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--every", type=float, default=15, help="seconds between two kills")
    parser.add_argument("--concurrency", type=int, default=2)
    arguments = parser.parse_args()
    photos = arguments.folder / "photos"
    draw_photos(photos, arguments.images)
    location = arguments.folder / f"shards-{time.time_ns()}"
    figures = run_command(photos, location, arguments.concurrency, arguments.every)
    figures |= compare(photos, ShardFolder(str(location)))
    (arguments.folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def draw_photos(folder: Path, count: int) -> None:
    """Draws boxes on a meadow; every hundredth file is no image.

    Args:
        folder: where the files go; it is made where it is not there.
        count: the number of files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        random_numbers = np.random.default_rng(number)
        height, width = random_numbers.integers(60, 240, 2)
        image = np.full((height, width, 3), (90, 140, 60), np.int16)
        image += random_numbers.integers(-6, 7, image.shape, np.int16)
        for _ in range(random_numbers.integers(1, 4)):
            y, x = random_numbers.integers(0, height - 30), random_numbers.integers(0, width - 30)
            image[y : y + 25, x : x + 25] = random_numbers.integers(0, 256, 3)
        path = folder / f"{number:05}.png"
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)
        if number % 100 == 99:
            path.write_text("These are words.")


def run_command(photos: Path, location: Path, concurrency: int, every: float) -> dict[str, Any]:
    """Runs the command, kills one of its workers now and then, and takes times and memory.

    Args:
        photos: the folder of images.
        location: where the shards go.
        concurrency: the number of actors.
        every: seconds between two kills; 0 kills nothing.

    Returns:
        seconds, the workers that were killed by what they said they did, and the most memory that
        one of them took, in MiB.
    """
    main = "from fiftyone_promerge.cli import main; main()"
    command: list[object] = [sys.executable, "-c", main, "generate"]
    command += [photos, "--engine", "ray", "--output", location, "--backbone", "embedded"]
    command += ["--image-size", CONFIG.image_size, "--seed-stride", CONFIG.seed_stride]
    command += ["--batch-size", BATCH_SIZE, "--shard-size", SHARD_SIZE]
    command += ["--concurrency", concurrency]
    kills: Counter[str] = Counter()
    start, peak, first_shard = time.monotonic(), 0, None
    last = start
    with subprocess.Popen([str(word) for word in command]) as process:
        while process.poll() is None:
            time.sleep(0.2)
            now = time.monotonic()
            if first_shard is None and any(location.glob("shard-*")):
                first_shard = last = now
            workers = pipeline_workers(process.pid)
            peak = max([peak, *(memory for _, _, memory in workers)])
            if every and workers and first_shard and now - last > every:
                worker, title, _ = random.choice(workers)
                worker.kill()
                kills[title] += 1
                last = now
    assert process.returncode == 0
    assert first_shard is not None
    seconds = time.monotonic() - start
    return {
        "concurrency": concurrency,
        "seconds": round(seconds, 1),
        "seconds_before_first_shard": round(first_shard - start, 1),
        "kills": kills,
        "peak_worker_mib": peak >> 20,
    }


def pipeline_workers(parent: int) -> list[tuple[psutil.Process, str, int]]:
    """The workers of the pipeline below a process: process, what it says it does, memory."""
    found = []
    try:
        for process in psutil.Process(parent).children(recursive=True):
            title = process.cmdline()[:1]
            if title and title[0].startswith("ray::Map"):
                found.append((process, title[0].strip(), process.memory_info().rss))
    except psutil.Error:
        return []
    return found


def compare(photos: Path, folder: ShardFolder) -> dict[str, Any]:
    """Compares shards with `generate_prepared` on the same batches, one after the other.

    Args:
        photos: the folder of images.
        folder: the shards of a run over it.

    Returns:
        counts of images, rows and masks, and of the rows that differ.
    """
    torch.set_num_threads(1)
    options = BackboneOptions(backbone="embedded")
    generator = GeneratorSettings("promerge", CONFIG, options).build("cpu")
    entries, found = find_images(photos), list(folder.rows())
    names = [row["file_name"] for row in found]
    differing, masks, start = 0, 0, time.monotonic()
    for first in range(0, len(entries), BATCH_SIZE):
        batch = entries[first : first + BATCH_SIZE]
        images: list[PreparedImage | str] = []
        for entry in batch:
            try:
                images.append(generator.prepare(open_image(entry.path.absolute())))
            except ImageError as error:
                images.append(str(error))
        results = iter(generator.generate_prepared([i for i in images if not isinstance(i, str)]))
        for entry, image, row in zip(batch, images, found[first:], strict=False):
            if isinstance(image, str):
                expected = skipped_row(entry.id, entry.file_name, image)
            else:
                expected = shard_row(entry.id, entry.file_name, next(results))
            expected = json.loads(json.dumps(expected))
            masks += len(expected.get("masks", ()))
            differing += row != expected
    return {
        "images": len(entries),
        "rows": len(names),
        "rows_once_and_in_order": names == [entry.file_name for entry in entries],
        "masks": masks,
        "rows_unlike_the_serial_run": differing,
        "serial_seconds": round(time.monotonic() - start, 1),
    }


if __name__ == "__main__":
    main()
