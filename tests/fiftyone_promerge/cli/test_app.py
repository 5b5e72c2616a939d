"""`promerge app`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def test_app_serves_the_dataset(promerge, photos: Path, dataset_name: str):
    promerge("generate", photos, "--dataset", dataset_name, *promerge.FAST)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from fiftyone_promerge.cli import main; main()"
    command = [sys.executable, "-c", program, "app", dataset_name, "--remote", "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL)
    try:
        assert "FiftyOne" in _page(f"http://127.0.0.1:{port}/", server)
    finally:
        server.terminate()
        server.wait()


def _page(url: str, server: subprocess.Popen[bytes]) -> str:
    for _ in range(240):
        assert server.poll() is None, "the App ended at once"
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                return page.read().decode()
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"no answer from {url}")
