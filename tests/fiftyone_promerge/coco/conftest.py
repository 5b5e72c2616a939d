"""Fixtures of the tests of COCO files: images of 37 x 23 pixels that need no files."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def add_image(database):
    """Adds an image to a dataset."""
    import fiftyone as fo

    def add(dataset, name="image.png", **fields):
        metadata = fo.ImageMetadata(width=37, height=23)
        dataset.add_sample(fo.Sample(filepath=f"/images/{name}", metadata=metadata, **fields))

    return add


@pytest.fixture
def image_7(make_dataset, add_image):
    """A dataset of one image, which COCO knows as 7."""
    dataset = make_dataset()
    add_image(dataset, coco_id=7)
    return dataset


@pytest.fixture
def results_file(tmp_path):
    """Writes a COCO file, or any text in its place."""

    def write(content):
        path = tmp_path / "input.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write
