"""Fixtures of the FiftyOne side: drawn photos, a small model, one thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

if TYPE_CHECKING:
    import fiftyone as fo

PARAMETERS = {"image_size": 64, "seed_stride": 2}


@pytest.fixture(scope="session", autouse=True)
def own_database(database: str) -> None:
    """Whatever imports FiftyOne first, in whatever order tests run, finds the tests' database."""


@pytest.fixture(scope="package")
def one_thread() -> Iterator[None]:
    """Images are small here: threads would wait for one another longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Six image files of six sizes: coloured boxes on a meadow; the fourth has nothing on it."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for number in range(6):
        height, width = 40 + 11 * number, 90 - 7 * number
        image = np.empty((height, width, 3), np.int16)
        image[:] = (90, 140, 60)
        if number != 3:
            image += np.random.default_rng(number).integers(-6, 7, image.shape, np.int16)
            image[height // 4 : height // 2, width // 4 : width // 2] = (220, 30, 30)
            image[height * 5 // 8 : height * 7 // 8, width * 5 // 8 : -width // 8] = (30, 30, 220)
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(image.astype(np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def dataset(make_dataset: Callable[[], fo.Dataset], photos: list[str]) -> fo.Dataset:
    """The six photos."""
    made = make_dataset()
    made.add_images(photos)
    return made


@pytest.fixture
def small_model(database: str, one_thread: None) -> Any:
    """ProMerge on the embedded backbone, for small images."""
    import fiftyone_promerge as fop

    return fop.load_model(backbone="embedded", device="cpu", **PARAMETERS)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A text file with the name of an image."""
    path = tmp_path / "broken.jpg"
    path.write_text("These are words.")
    return str(path)


@pytest.fixture
def tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The recipe `tiny` of detectors: a step of two small images in each of two rounds."""
    from fiftyone_promerge.training.recipes import RECIPES, SMOKE

    first = dataclasses.replace(SMOKE.rounds[0], iterations=1, milestones=())
    recipe = dataclasses.replace(
        SMOKE,
        name="tiny",
        rounds=(first, dataclasses.replace(first, droploss_iou=None, score_threshold=0.99)),
        num_images=4,
        min_samples=0,
        short_sides=(64,),
        test_short_side=64,
        proposals_per_image=8,
        validations=1,
        checkpoints=1,
        architecture="mask_rcnn_small",
    )
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    return recipe


@pytest.fixture
def checkpoint(tiny_recipe: Any, tmp_path: Path) -> Path:
    """A detector with its initial weights, which finds something anywhere."""
    from fiftyone_promerge.training.checkpoints.checkpoint import Checkpoint, save_checkpoint
    from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN

    torch.manual_seed(0)
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0], tiny_recipe.architecture).state_dict()
    path = tmp_path / "initial.pt"
    values = ("torchvision", tiny_recipe.architecture, tiny_recipe.to_dict(), 0, {}, {}, {}, model)
    save_checkpoint(path, Checkpoint(*values))
    return path
