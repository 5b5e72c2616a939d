"""The engine torchvision: what it needs, a full disk, and what its detectors predict."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from fiftyone_promerge.training import load
from fiftyone_promerge.training.engines.base import find_engine
from promerge_core import MissingExtraError


def test_without_lightning_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, find_engine("torchvision").__name__)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fiftyone-promerge\[train\]'"):
        find_engine("torchvision")


FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**8, 10**8))
"""


def test_a_full_disk_is_one_sentence(run_apart, tmp_path):
    done = run_apart(9, tmp_path, tmp_path / "run", first=FULL_DISK)
    last_line = done.stderr.strip().splitlines()[-1]
    assert "CheckpointError" in last_line
    assert "last.ckpt cannot be written: File too large; the checkpoint before" in last_line
    round_0 = tmp_path / "run" / "round_0"
    assert {path.name for path in round_0.iterdir()} == {
        "csv",
        "tensorboard",
        "records.jsonl",
        "records.index.npy",
    }


def test_a_detector_predicts_masks_of_the_images_own_size(trained):
    detector = load(trained[0], torch.device("cpu"))
    images = [np.zeros((50, 80, 3), np.uint8), np.full((33, 20, 3), 200, np.uint8)]
    found = detector.predict(images)
    assert len(found) == 2
    for image, masks in zip(images, found, strict=True):
        assert len(masks) <= 100
        assert [mask.score for mask in masks] == sorted((m.score for m in masks), reverse=True)
        assert all(tuple(m.segmentation["size"]) == image.shape[:2] for m in masks)
