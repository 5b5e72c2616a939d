"""A command whose database server dies under it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest

from fiftyone_promerge.mongod import packaged_mongod

Start = Callable[[], "subprocess.Popen[bytes]"]
COMMAND = [sys.executable, "-c", "from fiftyone_promerge.cli import main; main()", "generate"]
FLAGS = ["--backbone", "embedded", "--image-size", "240", "--workers", "0", "--batch-size", "1"]


@pytest.fixture
def uri() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"mongodb://127.0.0.1:{free.getsockname()[1]}/?serverSelectionTimeoutMS=2000"


@pytest.fixture
def start(uri: str, tmp_path: Path) -> Iterator[Start]:
    """Starts the test's own mongod, at the URI, with what the one before it left."""
    if not packaged_mongod().exists():
        pytest.skip("FiftyOne brought no mongod")
    folder = tmp_path / "database"
    folder.mkdir()
    started = []

    def run() -> subprocess.Popen[bytes]:
        port = uri.split(":")[2].split("/")[0]
        command = [str(packaged_mongod()), "--dbpath", str(folder), "--port", port]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        pymongo.MongoClient(uri, serverSelectionTimeoutMS=60_000).admin.command("ping")
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def labelled(uri: str) -> int:
    """Samples that have masks."""
    with pymongo.MongoClient(uri) as client:
        return sum(
            database[name].count_documents({"promerge": {"$ne": None}})
            for database in map(client.get_database, client.list_database_names())
            for name in database.list_collection_names()
            if name.startswith("samples.")
        )


@pytest.mark.timeout(300)
def test_a_killed_server_is_one_sentence_and_the_run_continues(
    start: Start, uri: str, photos: Path
):
    for number in range(25):
        shutil.copy(photos / "0.png", photos / f"copy{number}.png")
    server = start()
    command = [*COMMAND, str(photos), "--dataset", "mine", *FLAGS]
    environment = {**os.environ, "FIFTYONE_DATABASE_URI": uri}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    first = subprocess.Popen(command, env=environment, **pipes)
    while first.poll() is None and not labelled(uri):
        time.sleep(0.02)
    time.sleep(0.3)  # MongoDB may lose what it wrote in the last tenth of a second
    server.kill()
    server.wait()
    output, _ = first.communicate()
    assert first.returncode == 1, output
    assert "the database server failed or is gone" in " ".join(output.split())
    assert "Traceback" not in output

    start()
    done = labelled(uri)
    assert 1 <= done < 30
    second = subprocess.run(command, env=environment, check=False, **pipes)
    assert second.returncode == 0, second.stdout
    assert labelled(uri) == 30
    assert f"{done} images had masks already" in " ".join(second.stdout.split())
