"""The embedded backbone: shape, determinism, and masks that a person would draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from promerge_core import ProMerge, load_backbone, segment_features
from promerge_core.backbones.base import Backbone
from promerge_core.stages.no_masks import NoMasks


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("embedded", device="cpu")


def features_of(backbone: Backbone, *images: np.ndarray) -> torch.Tensor:
    return backbone(backbone.normalise(np.stack(images)))


def noise(seed: int, height: int = 480, width: int = 480) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def disc_image(texture: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """A dark disc off the centre of a light plain, and where it is."""
    rows, columns = np.mgrid[:480, :480]
    disc = (rows - 220) ** 2 + (columns - 260) ** 2 < 110**2
    image = np.full((480, 480, 3), (200, 215, 190), dtype=np.uint8)
    image[disc] = (np.full((480, 480, 3), (150, 60, 40)) + texture)[disc].astype(np.uint8)
    return image, disc


@pytest.mark.parametrize(("height", "width"), [(480, 480), (80, 240), (16, 16), (32, 8)])
def test_gives_one_feature_a_patch(backbone: Backbone, height: int, width: int) -> None:
    features = features_of(backbone, noise(0, height, width), noise(1, height, width))
    assert features.shape == (2, backbone.dim, height // 8, width // 8)
    assert features.dtype == torch.float32
    assert bool(features.isfinite().all())


def test_refuses_sides_that_are_no_whole_patches(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="multiples of the patch size 8"):
        features_of(backbone, noise(0, 44, 48))


def test_does_not_depend_on_the_batch(backbone: Backbone) -> None:
    images = [disc_image(0)[0], noise(3), np.zeros((480, 480, 3), np.uint8), disc_image(30)[0]]
    together = features_of(backbone, *images)
    for image, features in zip(images, together, strict=True):
        assert torch.equal(features_of(backbone, image)[0], features)


def test_is_deterministic(backbone: Backbone) -> None:
    image = noise(5)
    again = load_backbone("embedded", device="cpu")
    assert torch.equal(features_of(backbone, image), features_of(again, image))


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_plain_image_is_all_background(backbone: Backbone, level: int) -> None:
    features = features_of(backbone, np.full((480, 480, 3), level, np.uint8))[0]
    assert bool(features.isfinite().all())
    assert segment_features(features).reason is NoMasks.NO_PROPOSALS


@pytest.mark.parametrize("textured", [False, True])
def test_finds_one_disc_on_a_plain(backbone: Backbone, textured: bool) -> None:
    rows, columns = np.mgrid[:480, :480]
    stripes = 40 * ((rows // 6 + columns // 6) % 2)[..., None]
    image, disc = disc_image(stripes if textured else 0)
    masks = ProMerge(backbone).generate([image])[0]
    assert len(masks) == 1
    found = masks[0].to_array()
    assert (found & disc).sum() / (found | disc).sum() > 0.8


def test_every_real_layout_gets_a_background(backbone: Backbone) -> None:
    """Also where two halves share the borders, or a frame of another colour surrounds all."""
    halves = np.full((480, 480, 3), 40, np.uint8)
    halves[:, 240:] = 200
    framed = disc_image(0)[0]
    framed[:40] = framed[-40:] = 0
    framed[:, :40] = framed[:, -40:] = 0
    for features in features_of(backbone, halves, framed):
        assert segment_features(features).reason in (None, NoMasks.NO_PROPOSALS)
