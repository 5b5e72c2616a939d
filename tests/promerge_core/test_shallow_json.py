"""A file that is nested deep does not fill the memory; everything else is read as it stands."""

from __future__ import annotations

import io
import json
import random

import pytest

from promerge_core.errors import CocoError
from promerge_core.runs.coco_file import CocoFile
from promerge_core.shallow_json import DEEPEST, ShallowFile


def named(content):
    file = io.BytesIO(content)
    file.name = "deep.json"
    return file


def read(content, size):
    """The content in pieces of a size."""
    file = ShallowFile(named(content))
    return b"".join(iter(lambda: file.read(size), b""))


@pytest.mark.parametrize(
    "text", ["[" * 500_000, '{"a":' * 500_000, '[{"image_id": 1, "x": ' * 5000]
)
def test_a_deep_file_is_refused(tmp_path, text):
    path = tmp_path / "deep.json"
    path.write_text(text)
    for use in (lambda: list(CocoFile(path).annotations()), CocoFile(path).info):
        with pytest.raises(CocoError, match=r"deep\.json is not COCO json: it is nested more than"):
            use()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10**6])
def test_brackets_in_text_do_not_count_wherever_the_file_is_cut(size):
    words = ["[[[[[{{{{{", '"', "\\", '\\"[', "[\\\\", "ö[", "]]]"]
    choose = random.Random(1)
    texts = ["".join(choose.choices(words, k=5)) for _ in range(300)]
    content = json.dumps([{text: [text, {}]} for text in texts]).encode()
    assert content.count(b"[") + content.count(b"{") > DEEPEST + content.count(b"]") * 2
    assert read(content, size) == content


@pytest.mark.parametrize("size", [1, 64, 10**6])
def test_the_depth_is_counted_across_pieces_and_not_above_what_is_open(size):
    fits = b"[" * DEEPEST + b"]" * DEEPEST
    assert read(fits * 3, size) == fits * 3
    with pytest.raises(CocoError):
        read(b'["a", ' + b"[" * DEEPEST, size)
