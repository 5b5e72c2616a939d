"""What a DataLoader's worker makes of a sample and of a patch."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from promerge_core import ImageError


@pytest.fixture
def load(database):
    """LoadImage whose images are left as they are."""
    from fiftyone_promerge.models.loading import LoadImage

    return lambda **options: LoadImage(np.asarray, **{"skip_failures": False, **options})


@pytest.fixture
def picture(tmp_path):
    """An image of 40 x 20 pixels, no two alike."""
    pixels = np.arange(20 * 40 * 3).reshape(20, 40, 3).astype(np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return str(path), pixels


def test_a_sample_is_its_whole_image(load, picture):
    path, pixels = picture
    loaded = load()({"filepath": path})
    assert np.array_equal(loaded.image, pixels)
    assert loaded.box is None
    assert load().required_keys == ["filepath"]


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ([0, 0, 1, 1], (0, 20, 0, 40)),
        ([0.25, 0.5, 0.5, 0.25], (10, 15, 10, 30)),
        ([0.24, 0.51, 0.5, 0.25], (10, 15, 10, 30)),
        ([0.5, 0.5, 0, 0.001], (10, 11, 20, 21)),
    ],
)
def test_a_patch_is_what_lies_in_its_box_and_never_empty(load, picture, box, pixels):
    import fiftyone as fo

    path, image = picture
    top, bottom, left, right = pixels
    patches = load(patches=True)
    loaded = patches({"filepath": path, "patch": fo.Detection(bounding_box=box)})
    assert np.array_equal(loaded.image, image[top:bottom, left:right])
    expected = (left / 40, top / 20, (right - left) / 40, (bottom - top) / 20)
    assert loaded.box == pytest.approx(expected)
    assert patches.required_keys == ["filepath", "patch"]


def test_an_unreadable_image_raises_or_is_skipped(load, broken):
    with pytest.raises(ImageError, match="not an image"):
        load()({"filepath": broken})
    skipped = load(skip_failures=True)({"filepath": broken})
    assert skipped.path == broken
    assert "not an image" in skipped.why


def test_workers_can_be_sent_it(load, picture):
    path, pixels = picture
    sent = pickle.loads(pickle.dumps(load(patches=True)))
    assert sent.required_keys == ["filepath", "patch"]
    assert np.array_equal(pickle.loads(pickle.dumps(load()))({"filepath": path}).image, pixels)
