"""What stands at a path."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from promerge_core.files import irregular_kind


def test_each_kind_has_its_name_through_links_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("folder").mkdir()
    os.mkfifo("fifo")
    socket.socket(socket.AF_UNIX).bind("socket")
    kinds = {"file": None, "folder": "a folder", "fifo": "a FIFO", "socket": "a socket"}
    for name, kind in {**kinds, "/dev/null": "a device", "nothing": None}.items():
        link = tmp_path / f"link to {name.replace('/', ' ')}"
        link.symlink_to(name)
        assert irregular_kind(Path(name)) == irregular_kind(link) == kind


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="Too many levels"):
        irregular_kind(tmp_path / "a")
