"""The 10,000th image costs what the 100th does, in seconds and memory.

    python scripts/constant_cost.py docs/images/constant_cost.png

Runs ProMerge at a small input, where its cost hides nothing of FiftyOne's, on links to one photo.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import fiftyone as fo
import psutil
from matplotlib.figure import Figure

from fiftyone_promerge import generate_masks, load_model
from fiftyone_promerge.demo import demo_photos

IMAGES = 10_000
STEP = 100


def run(images: int) -> list[tuple[int, float, float]]:
    """Labels copies of a photo; after each `STEP` images: images, seconds, MiB."""
    points: list[tuple[int, float, float]] = []
    process = psutil.Process()

    def note(bar: fo.ProgressBar) -> None:
        if bar.iteration >= STEP * (len(points) + 1):
            seconds = time.perf_counter() - start
            points.append((bar.iteration, seconds, process.memory_info().rss / 2**20))

    dataset = fo.Dataset()
    try:
        with tempfile.TemporaryDirectory() as folder:
            links = [Path(folder, f"{number}.png") for number in range(images)]
            for link in links:
                link.symlink_to(demo_photos()[1])
            dataset.add_samples([fo.Sample(filepath=link) for link in links])
            model = load_model("embedded", image_size=96)
            start = time.perf_counter()
            generate_masks(dataset, model, num_workers=0, progress=note)
    finally:
        dataset.delete()
    return points


def plot(points: list[tuple[int, float, float]], path: str) -> None:
    """Draws milliseconds per image and memory against the number of images."""
    counts, seconds, memory = zip(*points, strict=True)
    steps = zip(counts, seconds, (0, *counts), (0.0, *seconds), strict=False)
    each = [1000 * (s - s0) / (n - n0) for n, s, n0, s0 in steps]
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(counts, each)
    left.set(xlabel="images done", ylabel="milliseconds per image", ylim=(0, 1.2 * max(each)))
    right.plot(counts, memory)
    right.set(xlabel="images done", ylabel="resident memory, MiB", ylim=(0, 1.2 * max(memory)))
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    points = run(IMAGES)
    for images, seconds, memory in (points[0], points[len(points) // 2], points[-1]):
        print(f"{images} images: {seconds:.0f} s, {memory:.0f} MiB")
    plot(points, sys.argv[1])
