"""Fixtures of the core's tests: reference vectors, drawn scenes, seeded weights."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

DATA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "promerge"
VECTORS = sorted(path.stem for path in DATA.glob("*.npz"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each reference vector, or one that is skipped where there are none."""
    if "vector" in metafunc.fixturenames:
        metafunc.parametrize("vector", VECTORS or ["missing"], indirect=True)


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors are small here: threads would wait for one another longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def vector(request: pytest.FixtureRequest, shared_dir: Path) -> dict:
    """What the official code made of one image; masks as bool arrays [M, h, w]."""
    file = shared_dir / "reference" / "promerge" / f"{request.param}.npz"
    if not file.exists():
        pytest.skip(f"reference vectors are not there: {file}")
    with np.load(file) as arrays:
        packed = dict(arrays)
    for name, array in packed.items():
        if array.dtype == np.uint8 and name != "image_480":
            side = 480 if name.endswith("480") else 60
            bits = np.unpackbits(array, axis=1)[:, : side * side]
            packed[name] = bits.reshape(-1, side, side).astype(bool)
    packed["final_rle"] = json.loads(str(packed["final_rle"]))
    return packed


@pytest.fixture(scope="session")
def scene() -> Callable[..., np.ndarray]:
    """Draws a textured meadow with a red and a blue box."""

    def draw(height: int, width: int, seed: int = 0) -> np.ndarray:
        image = np.empty((height, width, 3), np.int16)
        image[:] = (90, 140, 60)
        image += np.random.default_rng(seed).integers(-6, 7, image.shape, np.int16)
        image[height // 4 : height // 2, width // 4 : width // 2] = (220, 30, 30)
        image[height * 5 // 8 : height * 7 // 8, width * 5 // 8 : width * 7 // 8] = (30, 30, 220)
        return image.astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def seed_weights() -> Callable[[torch.nn.Module], dict[str, torch.Tensor]]:
    """Fills a model with the weights that its parameters' names define, and returns them.

    Of a model on the device meta it only returns them.
    """

    def fill(model: torch.nn.Module) -> dict[str, torch.Tensor]:
        state = {name: _seeded(name, tuple(t.shape)) for name, t in model.state_dict().items()}
        if not next(model.parameters()).is_meta:
            model.load_state_dict(state)
        return state

    return fill


def _seeded(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    noise = noise.astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        return torch.from_numpy(1 + np.float32(0.1) * noise)
    return torch.from_numpy(np.float32(0.02 if name.endswith("bias") else 0.04) * noise)
