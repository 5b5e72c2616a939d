"""What a round adds to detectron2's trainer."""

from __future__ import annotations

import logging

import pytest
import torch

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError
from fiftyone_promerge.training.engines.detectron2.hooks import Checkpointer, log_to


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    checkpointer = Checkpointer(torch.nn.Linear(100, 100), str(tmp_path))
    checkpointer.save("model_0000001", iteration=1)
    (tmp_path / "model_0000002.pth").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"model_0000002\.pth cannot be written: .*is kept"):
        checkpointer.save("model_0000002", iteration=2)
    assert [path.name for path in tmp_path.glob("*.pth")] == ["model_0000001.pth"]
    assert checkpointer.resume_or_load("")["iteration"] == 1
    (tmp_path / "model_0000001.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="is damaged and training cannot go on from it"):
        checkpointer.resume_or_load("")


def test_what_detectron2_logs_goes_to_a_file_and_nowhere_else(tmp_path, caplog):
    with log_to(tmp_path / "log.txt", rank=0):
        logging.getLogger("detectron2.engine").info("in rank 0")
    with log_to(tmp_path / "log.txt", rank=1):
        logging.getLogger("detectron2.engine").info("in rank 1")
    text = (tmp_path / "log.txt").read_text()
    assert "detectron2.engine INFO: in rank 0" in text and "rank 1" not in text
    assert caplog.messages == []
    with caplog.at_level(logging.INFO):
        logging.getLogger("detectron2.engine").info("afterwards")
    assert caplog.messages == ["afterwards"]
