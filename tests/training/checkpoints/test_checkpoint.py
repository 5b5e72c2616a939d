"""Checkpoints: what they say, and what is refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fiftyone_promerge.training import load
from fiftyone_promerge.training.checkpoints.checkpoint import (
    FORMAT,
    Checkpoint,
    CheckpointError,
    load_state,
    read_checkpoint,
    save_checkpoint,
)
from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.recipes import SMOKE
from promerge_core import PromergeError

CPU = torch.device("cpu")


def a_checkpoint(**changes):
    values = {
        "engine": "torchvision",
        "architecture": "mask_rcnn",
        "recipe": SMOKE.to_dict(),
        "round": 0,
        "source": {"dataset": "d", "field": "f", "images": 3},
        "versions": {"torch": "2"},
        "metrics": {"AP": 0.5},
        "model": {"weight": torch.arange(3.0)},
    }
    return Checkpoint(**{**values, **changes})


def test_it_comes_back_as_it_was(tmp_path):
    path = tmp_path / "detector.pt"
    save_checkpoint(path, a_checkpoint())
    read = read_checkpoint(path)
    assert torch.equal(read.model["weight"], torch.arange(3.0))
    assert read.recipe["rounds"][0]["milestones"] == SMOKE.rounds[0].milestones
    assert (read.source, read.metrics) == (a_checkpoint().source, {"AP": 0.5})


@pytest.mark.parametrize(
    "labelling", [Labelling(("cat", "mug")), Labelling(("cat",), has_masks=False)]
)
def test_classes_come_back(tmp_path, labelling):
    path = tmp_path / "detector.pt"
    save_checkpoint(path, a_checkpoint(labelling=labelling))
    assert read_checkpoint(path).labelling == labelling


def test_a_detector_of_one_class_is_written_as_ever(tmp_path):
    path = tmp_path / "detector.pt"
    save_checkpoint(path, a_checkpoint())
    assert "labelling" not in torch.load(path, weights_only=True)
    assert read_checkpoint(path).labelling == CLASS_AGNOSTIC


@pytest.mark.parametrize("stored", [7, {}, {"classes": [3], "has_masks": True}])
def test_classes_that_are_no_names_are_refused(tmp_path, stored):
    path = tmp_path / "detector.pt"
    values = {name: value for name, value in vars(a_checkpoint()).items() if name != "labelling"}
    torch.save({"format": FORMAT, **values, "labelling": stored}, path)
    with pytest.raises(CheckpointError, match="is not a readable checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "none"}, "there is no engine 'none'"),
        ({"engine": 3}, "its engine is no str"),
        ({"round": 7}, "its recipe has no round 7"),
        ({"round": -1}, "its recipe has no round -1"),
        ({"recipe": {}}, "its recipe is none"),
        ({"model": {3: torch.zeros(1)}}, "its model is no state dict"),
        ({"model": {"a": [1]}}, "its model is no state dict"),
    ],
)
def test_an_entry_that_is_damaged_is_named(tmp_path, changes, said):
    path = tmp_path / "detector.pt"
    save_checkpoint(path, a_checkpoint(**changes))
    for read in (read_checkpoint, lambda path: load(path, CPU)):
        with pytest.raises(CheckpointError, match=f"detector.pt is damaged: {said}"):
            read(path)


def test_an_entry_that_is_missing_is_named(tmp_path):
    path = tmp_path / "detector.pt"
    torch.save({"format": FORMAT, "engine": "torchvision"}, path)
    with pytest.raises(CheckpointError, match="is damaged: it has the entries engine; fetch"):
        read_checkpoint(path)


class Harmful:
    """Runs a command when it is unpickled."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("name", ["detector.pt", "model.pth", "model.pkl"])
def test_a_malicious_file_is_refused_and_never_executed(tmp_path, name):
    path, proof = tmp_path / name, tmp_path / "executed"
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({"model": Harmful(proof)}))
    else:
        torch.save({"model": Harmful(proof)}, path)
    with pytest.raises(PromergeError) as caught:
        load(path, CPU)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 not a zip", b"\x80\x02}q\x00."])
def test_a_broken_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "detector.pt"
    path.write_bytes(content)
    with pytest.raises(PromergeError) as caught:
        load(path, CPU)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint at"):
        load(tmp_path / "detector.pt", CPU)


def test_another_architecture_is_one_sentence(tmp_path):
    save_checkpoint(tmp_path / "a.pt", a_checkpoint())
    with pytest.raises(CheckpointError, match=r"another architecture: .* 1 unexpected"):
        load(tmp_path / "a.pt", CPU)
    save_checkpoint(tmp_path / "b.pt", a_checkpoint(architecture="cascade_mask_rcnn"))
    with pytest.raises(CheckpointError, match="no architecture 'cascade_mask_rcnn'"):
        load(tmp_path / "b.pt", CPU)


def test_what_does_not_fit_is_named():
    model = nn.Linear(2, 3)
    state = {"weight": torch.zeros(5, 2), "other": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        load_state(model, state, "x.pt")
    assert str(caught.value) == (
        "x.pt is of another architecture: 1 missing (bias); 1 unexpected (other); "
        "1 of another shape (weight)"
    )


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "detector.pt"
    save_checkpoint(path, a_checkpoint())
    before = path.read_bytes()
    script = f"""
import resource, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_checkpoint import a_checkpoint, save_checkpoint
from promerge_core import PromergeError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    save_checkpoint(Path({str(path)!r}), a_checkpoint(model={{"w": torch.zeros(100_000)}}))
except PromergeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "detector.pt cannot be written" in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
