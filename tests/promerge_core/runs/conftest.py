"""Fixtures of the tests of runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from promerge_core import ProMerge, ProMergeConfig, load_backbone
from promerge_core.runs.coco_json import skipped_row


@pytest.fixture
def start_program():
    """Starts Python programs, each in a session of its own; returns when one has said something."""
    processes = []

    def start(program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        processes.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.fixture
def listing(tmp_path):
    """Writes a COCO json of images, or any text in its place."""

    def write(images):
        path = tmp_path / "instances.json"
        path.write_text(images if isinstance(images, str) else json.dumps({"images": images}))
        return path

    return write


@pytest.fixture(scope="session")
def rows(scene):
    """Seven rows: of real masks, of an image without any, and of one that was not read."""
    # Here, since only shards need pyarrow.
    from promerge_core.runs.shard_rows import shard_row

    config = ProMergeConfig(image_size=64, seed_stride=2)
    generator = ProMerge(load_backbone("embedded", "cpu"), config)
    images = [scene(40 + 9 * number, 90 - 8 * number, number) for number in range(5)]
    images.append(np.full((50, 60, 3), 80, np.uint8))
    found = [
        json.loads(json.dumps(shard_row(number, f"größe/{number}.png", masks)))
        for number, masks in zip([1, 2, 3, 4, 6, 7], generator.generate(images), strict=True)
    ]
    found.insert(4, skipped_row(5, "words.jpg", "words.jpg: not an image"))
    assert sum(len(row.get("masks", ())) for row in found) > 3
    assert any(row.get("reason") for row in found)
    return found
