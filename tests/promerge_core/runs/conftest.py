"""Fixtures of the tests of runs."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def listing(tmp_path):
    """Writes a COCO json of images, or any text in its place."""

    def write(images):
        path = tmp_path / "instances.json"
        path.write_text(images if isinstance(images, str) else json.dumps({"images": images}))
        return path

    return write
