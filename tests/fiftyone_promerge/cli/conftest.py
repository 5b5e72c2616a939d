"""Fixtures of the command's tests: the command, a folder of photos, a dataset's name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fiftyone_promerge.cli.command import main


class Promerge:
    """The command `promerge`, as a person types it.

    Attributes:
        FAST: flags of `generate` that make masks in a second.
    """

    FAST = ("--backbone", "embedded", "--image-size", "240", "--workers", "0")

    def __call__(self, *arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        error = result.exception
        assert error is None or isinstance(error, SystemExit), error
        return result

    def message(self, result: Result) -> str:
        """What the command printed, without the frame and the line breaks of the error box."""
        return " ".join(result.output.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.fixture(scope="session")
def promerge() -> Promerge:
    return Promerge()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five images with one disc each, one of them in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    rows, columns = np.mgrid[0:120, 0:160]
    for number in range(5):
        image = np.full((120, 160, 3), 190, np.uint8)
        image[(rows - 60) ** 2 + (columns - 40 - 20 * number) ** 2 < 900] = (30, 60, 150)
        name = f"more/{number}.png" if number == 4 else f"{number}.png"
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.fixture
def dataset_name(database: str) -> Iterator[str]:
    import fiftyone as fo

    name = f"cli-{uuid.uuid4().hex}"
    yield name
    if fo.dataset_exists(name):
        fo.delete_dataset(name)
