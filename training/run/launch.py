"""Several processes on one machine: torchrun in a child process, heard through files.

A child process, and not threads or forks of this one: it works from scripts, notebooks and the
App alike, and a crash in it is an error here. Each process runs the module `process`. In the
folder of the run `progress.json` says how far it is, a file `stop` asks it to stop, and
`failure.json` says why it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from fiftyone_promerge.training.engines.base import (
    Report,
    Stop,
    TrainingError,
    TrainingStoppedError,
)

_POLL_SECONDS = 0.5


def launch(folder: Path, devices: int, report: Report, stop: Stop) -> None:
    """Runs `run_rounds` in one process per device, and waits for them.

    Args:
        folder: of the run, with its settings and the records of the first round.
        devices: processes to start.
        report: is called with the iterations done in all rounds, those of the whole run, and
            metrics by name.
        stop: whether to stop.

    Raises:
        TrainingStoppedError: it was asked to stop.
        TrainingError: a process failed.
    """
    for name in ("stop", "failure.json", "progress.json"):
        (folder / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(devices), "-m", f"{__package__}.process", str(folder)]
    paths = os.pathsep.join(path for path in sys.path if path)
    # A session of its own: Ctrl-C is for this process, which stops the others in good order.
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True
    )
    try:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            _pass_on(folder, report)
            if stop():
                (folder / "stop").touch()
    finally:
        process.terminate()
        process.wait()
    _pass_on(folder, report)
    _raise_failure(folder, process.returncode)


def _pass_on(folder: Path, report: Report) -> None:
    if (folder / "progress.json").exists():
        progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        report(progress["done"], progress["total"], progress["metrics"])


def _raise_failure(folder: Path, code: int) -> None:
    if (folder / "failure.json").exists():
        failure = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
        raise (TrainingStoppedError if failure["stopped"] else TrainingError)(failure["message"])
    if code:
        raise TrainingError(
            f"a training process ended with exit code {code}; its output says why, and the same "
            f"call continues from the last checkpoint"
        )
