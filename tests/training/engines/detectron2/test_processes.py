"""Several processes that detectron2's own `launch` starts."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint


def test_two_processes_train_one_model(records, tmp_path):
    """By detectron2's own `launch`, which spawns the processes: both end with the same weights."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    finished = subprocess.run(
        [sys.executable, str(script), str(records.path), str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    first, second = (
        torch.load(tmp_path / "run" / f"rank_{rank}.pth", weights_only=True) for rank in (0, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    trained = read_checkpoint(tmp_path / "run" / "detector.pt").model
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(first[name], trained[name])
    assert set(finished.stdout.split()) == {"1", "2"}


SCRIPT = """
    import sys
    from pathlib import Path

    import torch
    from conftest import job
    from fiftyone_promerge.training import World
    from fiftyone_promerge.training.engines.detectron2.engine import train
    from fiftyone_promerge.training.engines.detectron2.processes import launch
    from fiftyone_promerge.training.engines.detectron2.hooks import FollowJob
    from fiftyone_promerge.training.data.records import RecordFile


    def main(path, folder):
        after_step = FollowJob.after_step

        def save_weights(self):
            after_step(self)
            state = self._checkpointer.model.state_dict()
            torch.save(state, folder / f"rank_{World.current().rank}.pth")

        FollowJob.after_step = save_weights
        folder.mkdir(exist_ok=True)
        train(job(RecordFile(path), folder, iterations=2, report=lambda done, *_: print(done)))


    if __name__ == "__main__":
        launch(main, 2, args=(Path(sys.argv[1]), Path(sys.argv[2])))
"""
