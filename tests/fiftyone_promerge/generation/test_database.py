"""The disk of the database server is full: a real mongod on a small file system of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from fiftyone_promerge.generation.database import (
    DatabaseError,
    database_sentence,
    explained_failures,
)
from fiftyone_promerge.mongod import packaged_mongod
from promerge_core import PromergeError

COMMAND = [sys.executable, "-c", "from fiftyone_promerge.cli import main; main()"]
FLAGS = ["--backbone", "embedded", "--image-size", "240", "--workers", "0", "--batch-size", "1"]
FULL = "the disk of the database server is full; make room on it"
GONE = "the database server failed or is gone: .* see that it runs and that its disk has space"


class SmallServer:
    """A mongod whose files lie on a file system of 400 MB, 300 of which it takes at once.

    The file system is in a namespace, which an ordinary user can make where the system allows it;
    from outside it is seen by way of the process that holds the namespace.
    """

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        mount = 'mount -t tmpfs -o size=400m tmpfs "$0" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--mount", "--map-root-user", "sh", "-c", mount, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.mounted = self._holder.stdout.readline() == b"mounted\n"
        self._folder, self._port = folder, port
        self._inside = Path(f"/proc/{self._holder.pid}/root{folder}")
        self._server: subprocess.Popen[bytes] | None = None
        self.uri = f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=2000"

    def start(self, sync_seconds: int = 1) -> None:
        """Starts mongod, which writes out what it has in memory each so many seconds."""
        enter = ["nsenter", "--target", str(self._holder.pid), "--user", "--mount"]
        mongod = [str(packaged_mongod()), "--dbpath", str(self._folder), "--port", str(self._port)]
        few = ["--syncdelay", str(sync_seconds), "--wiredTigerCacheSizeGB", "0.25"]
        self._server = subprocess.Popen(
            [*enter, "--preserve-credentials", *mongod, *few], stdout=subprocess.DEVNULL
        )
        pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=60_000).admin.command("ping")

    def fill(self, left: int = 0) -> None:
        """Takes all space but so many bytes."""
        with (
            (self._inside / "ballast").open("wb", buffering=0) as ballast,
            contextlib.suppress(OSError),  # the server takes space in the meantime
        ):
            while (free := os.statvfs(self._inside)).f_bavail * free.f_frsize > left:
                ballast.write(bytes(2**16))

    def make_room(self) -> None:
        (self._inside / "ballast").unlink()

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def close(self) -> None:
        self.stop()
        self._holder.kill()
        self._holder.communicate()

    def masks(self, dataset: str) -> dict[str, Any]:
        """The label of each image of a dataset that has one."""
        with pymongo.MongoClient(self.uri) as client:
            database = client["fiftyone"]
            known = database["datasets"].find_one({"name": dataset})
            if known is None:
                return {}
            found = database[known["sample_collection_name"]].find({"promerge": {"$ne": None}})
            return {one["filepath"]: _without_ids(one["promerge"]) for one in found}


def _without_ids(label: Any) -> Any:
    if isinstance(label, dict):
        return {key: _without_ids(value) for key, value in label.items() if key != "_id"}
    return [_without_ids(one) for one in label] if isinstance(label, list) else label


@pytest.fixture
def server(tmp_path: Path, free_port: Any) -> Iterator[SmallServer]:
    if not packaged_mongod().exists() or not shutil.which("unshare"):
        pytest.skip("FiftyOne brought no mongod, or this is no Linux")
    server = SmallServer(tmp_path / "database", free_port())
    try:
        if not server.mounted:
            pytest.skip("no small file system: this user may not mount one in a namespace")
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def promerge(server: SmallServer) -> Any:
    """Starts the command at the small server."""
    variables = {
        "FIFTYONE_DATABASE_URI": server.uri,
        "FIFTYONE_DATABASE_NAME": "fiftyone",
        "OMP_NUM_THREADS": "1",
    }

    def start(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def _is_one_sentence(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    return " ".join(output.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.mark.timeout(300)
def test_a_run_continues_when_there_is_space_again(server, promerge, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(30):
        shutil.copy(photos[number % 3], folder / f"{number}.png")
    command = ["generate", folder, *FLAGS, "--dataset"]
    first = promerge(*command, "mine")
    while first.poll() is None and not server.masks("mine"):
        time.sleep(0.02)
    time.sleep(0.3)  # MongoDB may lose what it wrote in the last tenth of a second
    done = server.masks("mine")
    server.fill()
    said = _is_one_sentence(first)
    assert re.search(f"{FULL}|{GONE}", said)

    server.stop()
    server.make_room()
    server.start()
    kept = server.masks("mine")
    assert done.items() <= kept.items()
    assert 1 <= len(kept) < 30
    second = promerge(*command, "mine")
    output, _ = second.communicate()
    assert second.returncode == 0, output
    assert f"{len(kept)} images had masks already" in " ".join(output.split())
    assert promerge(*command, "other").wait() == 0
    assert server.masks("mine") == server.masks("other")
    assert len(server.masks("mine")) == 30


@pytest.mark.timeout(300)
def test_what_the_server_refuses_for_want_of_space_is_said(server, database):
    from fiftyone.core.odm import bulk_write

    server.stop()
    server.start(sync_seconds=600)
    server.fill(left=5_000_000)
    with (
        pymongo.MongoClient(server.uri) as client,
        # It refuses the write, or ends itself before it comes to that.
        pytest.raises(DatabaseError, match=f"{FULL}|{GONE}"),
        explained_failures(),
    ):
        for _ in range(3000):
            bulk_write([pymongo.InsertOne({"mask": os.urandom(100_000)})], client.any.samples)


def test_a_refusal_is_known_behind_the_error_that_fiftyone_makes_of_it():
    message = "WiredTigerIdIndex::_insert: index: _id_; uri: table:x 28: No space left on device"
    refusal = pymongo.errors.BulkWriteError({"writeErrors": [{"errmsg": message}]})
    with pytest.raises(DatabaseError, match=FULL), explained_failures():
        try:
            raise refusal
        except pymongo.errors.BulkWriteError as error:
            raise ValueError(message) from error


def test_other_errors_are_not_the_servers():
    assert database_sentence(ValueError("No space left on device")) is None
    assert database_sentence(PromergeError("ours")) is None
    gone = pymongo.errors.ServerSelectionTimeoutError("no server (configured timeouts: 1)")
    assert "failed or is gone: no server; see that it runs" in database_sentence(gone)
