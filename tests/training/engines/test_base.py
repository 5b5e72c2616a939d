"""What is decided before an engine is imported, and what each process knows of the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fiftyone_promerge.training import TrainingError, World
from fiftyone_promerge.training.engines.base import choose_architecture, find_engine

PROCESS = {
    "TORCHELASTIC_RUN_ID": "one",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
}


def test_without_torchrun_a_process_is_alone(monkeypatch):
    for name in PROCESS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "3")  # of something else: only torchrun's run counts
    assert World.current() == World(rank=0, world_size=1, local_rank=0, local_world_size=1)


def test_torchrun_tells_each_process_its_place(monkeypatch):
    for name, value in PROCESS.items():
        monkeypatch.setenv(name, value)
    assert World.current() == World(rank=5, world_size=8, local_rank=1, local_world_size=4)


def test_the_first_architecture_is_the_default():
    assert choose_architecture("detectron2", None) == "mask_rcnn"
    assert choose_architecture("detectron2", "cascade_mask_rcnn") == "cascade_mask_rcnn"


def test_an_unknown_engine_is_one_sentence():
    for call in (find_engine, lambda name: choose_architecture(name, None)):
        with pytest.raises(TrainingError, match="no engine 'jax'; there are torchvision, detectr"):
            call("jax")


def test_what_is_asked_for_is_checked_with_nothing_installed():
    """Not even PyTorch: names are refused before anything is imported."""
    script = """
import sys
for name in ("torch", "torchvision", "lightning", "detectron2", "fiftyone"):
    sys.modules[name] = None
from fiftyone_promerge.training.engines.base import TrainingError, choose_architecture
try:
    choose_architecture("torchvision", "cascade_mask_rcnn")
except TrainingError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == (
        "the engine torchvision has no architecture 'cascade_mask_rcnn'; it has mask_rcnn, "
        "mask_rcnn_small, timm:<name>\n"
    ), done.stderr
