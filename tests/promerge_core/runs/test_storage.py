"""Files at local paths and at URLs."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from promerge_core import ImageError
from promerge_core.runs.sources import RunError
from promerge_core.runs.storage import ImageStore, find_remote_images


@pytest.fixture
def bucket():
    """A URL with two images, one of them below, and a text file."""
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("b.PNG", "below/a.png"):
        with fsspec.open(f"{url}/{name}", "wb") as file:
            Image.fromarray(np.full((8, 9, 3), len(name), np.uint8)).save(file, "PNG")
    with fsspec.open(f"{url}/notes.txt", "w") as file:
        file.write("words")
    return url


def test_images_below_a_url_are_found_and_read(bucket):
    entries = find_remote_images(bucket)
    assert [(entry.id, entry.file_name) for entry in entries] == [(1, "b.PNG"), (2, "below/a.png")]
    filesystem, root = fsspec.url_to_fs(bucket)
    for entry in entries:
        content = filesystem.cat_file(f"{root}/{entry.file_name}")
        assert content.startswith(b"\x89PNG")
        assert ImageStore(bucket).read(entry.file_name) == content


def test_a_url_without_images_is_named():
    with pytest.raises(RunError, match="memory://nowhere holds no image files"):
        find_remote_images("memory://nowhere")


@pytest.mark.parametrize("url", ["nonsense://a/b", "oss://bucket/a"])
def test_a_url_that_cannot_be_opened_is_named(url):
    with pytest.raises(RunError, match=f"{url} cannot be opened: "):
        ImageStore(url)


@pytest.mark.parametrize("name", ["none.png", "a\0b.png", "folder"])
def test_a_file_that_is_not_there_is_an_image_error(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match=r"no such file|a folder"):
        ImageStore(str(tmp_path)).read(name)


def test_links_are_followed_when_read(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "elsewhere.png").write_bytes(b"content")
    (tmp_path / "photos" / "a.png").symlink_to(tmp_path / "elsewhere.png")
    assert ImageStore(str(Path(tmp_path, "photos"))).read("a.png") == b"content"


def test_the_storage_tells_size_and_time_of_what_it_lists(tmp_path):
    (tmp_path / "a.png").write_bytes(b"content")
    os.utime(tmp_path / "a.png", ns=(5, 6_000))
    entry = find_remote_images(f"file://{tmp_path}")[0]
    assert entry.stamp == (7, 6_000)


@pytest.mark.parametrize("kind", ["FIFO", "link to itself", "file's inside"])
def test_what_cannot_be_opened_is_an_image_error(tmp_path, kind):
    name = "a.png"
    if kind == "FIFO":
        os.mkfifo(tmp_path / "a.png")
    elif kind == "link to itself":
        (tmp_path / "a.png").symlink_to("a.png")
    else:
        (tmp_path / "file").write_text("")
        name = "file/a.png"
    with pytest.raises(ImageError, match=r"a FIFO, not an image|Too many levels|Not a directory"):
        ImageStore(str(tmp_path)).read(name)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("url", [False, True])
def test_what_is_no_regular_file_is_never_opened(tmp_path, url):
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    store = ImageStore(f"file://{tmp_path}" if url else str(tmp_path))
    for name, kind in (("fifo", "a FIFO"), ("device", "a device")):
        with pytest.raises(ImageError, match=rf"/{name}\.jpg: {kind}, not an image"):
            store.read(f"{name}.jpg")
