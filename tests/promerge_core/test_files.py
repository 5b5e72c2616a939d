"""What stands at a path is said without opening it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from promerge_core.files import irregular_kind


@pytest.mark.timeout(30)
def test_only_regular_files_and_nothing_are_regular(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link to a fifo").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        kinds = {
            name: irregular_kind(tmp_path / name)
            for name in ("file", "link", "nothing", "fifo", "link to a fifo", "socket", ".")
        }
    assert list(kinds.values()) == [None, None, None, "a FIFO", "a FIFO", "a socket", "a folder"]
    assert irregular_kind(Path("/dev/zero")) == "a device"


def test_a_link_to_itself_is_an_error_of_the_system(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        irregular_kind(tmp_path / "loop")
