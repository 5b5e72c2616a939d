"""Fixtures of training: drawn images, a recipe of seconds, one trained run for many tests."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fiftyone_promerge.training import Record, mask_from_rle, train
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.recipes import RECIPES, SMOKE, Recipe
from promerge_core.masks.rle import encode_rle

SIDE = 64

TINY = dataclasses.replace(
    SMOKE,
    name="tiny",
    rounds=(
        dataclasses.replace(SMOKE.rounds[0], iterations=4, milestones=(3,)),
        dataclasses.replace(
            SMOKE.rounds[0],
            iterations=2,
            learning_rate=0.0,
            milestones=(),
            droploss_iou=None,
            score_threshold=0.7,
        ),
    ),
    num_images=10,
    min_samples=0,
    warmup_iterations=0,
    short_sides=(SIDE,),
    test_short_side=SIDE,
    rpn_pre_nms=(50, 50),
    rpn_test_proposals=20,
    proposals_per_image=8,
    validation_fraction=0.2,
    validations=1,
    checkpoints=2,
    architecture="mask_rcnn_small",
)
"""Half a dozen steps of two small images, by the smallest detector."""


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The order of sums, and so the last digit, depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The recipe `tiny`, by name."""
    monkeypatch.setitem(RECIPES, TINY.name, TINY)
    return TINY


def draw_records(folder: Path, count: int = 10) -> list[Record]:
    """Images of two bright boxes each on a dark ground, and their masks."""
    records = []
    for number in range(count):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
        masks = np.zeros((2, SIDE, SIDE), bool)
        for half, mask in enumerate(masks):
            top, left = rng.integers(2, 20), rng.integers(2, 10) + 32 * half
            mask[top : top + rng.integers(12, 40), left : left + rng.integers(8, 20)] = True
            image[mask] = rng.integers(120, 255, 3)
        path = folder / f"{number}.png"
        Image.fromarray(image).save(path)
        found = tuple(map(mask_from_rle, encode_rle(masks)))
        records.append(Record(str(number), str(path), SIDE, SIDE, found))
    return records


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Ten drawn images."""
    return draw_records(tmp_path_factory.mktemp("images"))


OPTIONS: dict[str, Any] = {
    "source": {"dataset": "drawn", "field": "boxes", "images": 10},
    "recipe": "tiny",
    "rounds": 1,
    "weights": "random",
    "num_workers": 0,
}


@pytest.fixture
def run() -> Callable[..., Path]:
    """`train` with the options of all these tests."""

    def call(records: Any, folder: Path, **options: Any) -> Path:
        return train(records, folder, **{**OPTIONS, **options})

    return call


@pytest.fixture(scope="session")
def train_undisturbed(
    records: list[Record], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Trains for several tests: the checkpoint, and each call of the progress."""

    def call(**options: Any) -> tuple[Path, list[Any]]:
        calls = []

        def progress(done: int, total: int, metrics: Any) -> None:
            calls.append((done, total, dict(metrics)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(RECIPES, TINY.name, TINY)
            folder = tmp_path_factory.mktemp("trained")
            return train(records, folder, progress=progress, **{**OPTIONS, **options}), calls

    return call


@pytest.fixture(scope="session")
def trained(train_undisturbed: Callable[..., Any]) -> Any:
    """One undisturbed run: its checkpoint, and each call of its progress."""
    return train_undisturbed()


# Trains the fixtures' records and kills itself after as many iterations as it is told.
KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from conftest import OPTIONS, draw_records
from fiftyone_promerge.training import Recipe, train
from fiftyone_promerge.training.recipes import RECIPES

recipe, changes = Recipe.from_dict(json.loads(sys.argv[5])), json.loads(sys.argv[6])
RECIPES[recipe.name] = recipe
torch.set_num_threads(1)

def die(done, total, metrics):
    if done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

train(draw_records(Path(sys.argv[2])), sys.argv[3], progress=die, **{**OPTIONS, **changes})
"""


@pytest.fixture
def run_apart() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Trains in a process of its own, which kills itself after so many iterations."""

    def call(
        iterations: int, images: Path, folder: Path, first: str = "", **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs some lines `first`, and trains by `tiny` as it is now, with other options."""
        arguments = [Path(__file__).parent, images, folder, iterations]
        values = [json.dumps(RECIPES[TINY.name].to_dict()), json.dumps(changes)]
        command = [sys.executable, "-c", first + KILLED, *map(str, arguments), *values]
        return subprocess.run(command, capture_output=True, text=True)

    return call


@pytest.fixture
def kill_after(run_apart: Callable[..., Any]) -> Callable[..., None]:
    """Trains like `run_apart`, and is killed for certain."""

    def call(*arguments: Any, **options: Any) -> None:
        done = run_apart(*arguments, **options)
        assert done.returncode == -signal.SIGKILL, done.stderr

    return call


@pytest.fixture
def state() -> Callable[[Path], dict[str, torch.Tensor]]:
    """Reads the weights of a checkpoint."""
    return lambda checkpoint: read_checkpoint(checkpoint).model


@pytest.fixture
def assert_same() -> Callable[..., None]:
    """Compares two state dicts; where no tolerance is given, to the last bit."""

    def compare(one: dict[str, Any], two: dict[str, Any], rtol: float = 0, atol: float = 0) -> None:
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(
                one[name], two[name], rtol=rtol, atol=atol, msg=lambda m, n=name: n + m
            )

    return compare
