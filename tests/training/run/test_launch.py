"""Several processes on one machine train what one does, and stop in good order."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fiftyone_promerge.training import TrainingError
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.recipes import RECIPES


@pytest.fixture
def double_precision(tmp_path, monkeypatch):
    """Numbers are doubles by default, here and in the processes that are started from here."""
    lines = "import torch\ntorch.set_default_dtype(torch.float64)\n"
    (tmp_path / "sitecustomize.py").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


LIKE_SMALL = {"norm": "group", "optimizer": "adamw", "decay": "cosine", "average": 0.9, "crop": 32}


@pytest.mark.parametrize(
    ("architecture", "changes"), [("mask_rcnn", {}), ("mask_rcnn_small", LIKE_SMALL)]
)
def test_two_processes_train_what_one_does_with_the_doubled_batch(
    run,
    records,
    tmp_path,
    double_precision,
    tiny_recipe,
    monkeypatch,
    assert_same,
    architecture,
    changes,
):
    # In single precision the norms, of a few values each, make much of the last digit. The images
    # have fewer anchors and proposals than may be sampled, so each has another number of them.
    recipe = dataclasses.replace(
        tiny_recipe, short_sides=(32,), proposals_per_image=64, checkpoints=1, **changes
    )
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    one, two = (
        read_checkpoint(
            run(
                records,
                tmp_path / str(devices),
                batch_size=4,
                devices=devices,
                architecture=architecture,
            )
        )
        for devices in (1, 2)
    )
    assert one.metrics == pytest.approx(two.metrics, rel=1e-6)
    assert_same(one.model, two.model, rtol=1e-6, atol=1e-8)


def test_two_processes_stop_in_good_order(run, records, tmp_path, capfd):
    def stop(done, total, metrics):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        run(records, tmp_path, devices=2, progress=stop)
    assert (tmp_path / "round_0" / "last.ckpt").exists()
    assert "Traceback" not in capfd.readouterr().err


def test_a_failed_process_is_the_error_here(run, records, tmp_path, capfd):
    gone = [dataclasses.replace(one, path=str(tmp_path / one.path)[:-1]) for one in records]
    with pytest.raises(TrainingError, match="images in a row cannot be used for training"):
        run(gone, tmp_path / "run", devices=2)
    assert not (tmp_path / "run" / "run.json").exists(), "other settings may be tried"
