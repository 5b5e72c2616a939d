"""Training with detectron2 on real images: a falling loss and exact resume."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training import TrainingStoppedError
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.engines.detectron2.architectures import ARCHITECTURES
from fiftyone_promerge.training.engines.detectron2.engine import load, train
from fiftyone_promerge.training.run.logs import logged_losses


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_losses_fall_and_the_checkpoint_predicts(records, tmp_path, architecture, job):
    """On the first batch the RPN's losses are lower after training than before it.

    In a few steps theirs alone can be compared: the better the proposals become, the more of them
    are objects whose boxes and classes the heads are asked for.
    """
    reports = []
    one = job(
        records,
        tmp_path / "run",
        iterations=12,
        architecture=architecture,
        report=lambda done, total, metrics: reports.append((done, metrics)),
    )
    train(one)
    assert [done for done, _ in reports] == list(range(1, 13))
    for _, metrics in reports:
        parts = [value for name, value in metrics.items() if name.startswith("loss_")]
        assert len(parts) == (9 if architecture == "cascade_mask_rcnn" else 5)
        assert np.isfinite(parts).all()
        assert metrics["loss"] == pytest.approx(sum(parts), rel=1e-6)
    still = dataclasses.replace(one.schedule, iterations=1, learning_rate=0.0)
    again = dataclasses.replace(
        one,
        folder=tmp_path / "again",
        output=tmp_path / "again" / "detector.pt",
        recipe=dataclasses.replace(one.recipe, rounds=(still,)),
        detector=one.output,
    )
    train(again)
    assert reports[-1][0] == 1
    before, after = reports[0][1], reports[-1][1]
    assert after["loss_rpn_loc"] < 0.9 * before["loss_rpn_loc"]
    assert after["loss_rpn_cls"] < 0.97 * before["loss_rpn_cls"]

    checkpoint, copy = read_checkpoint(one.output), read_checkpoint(again.output)
    weight = "roi_heads.mask_head.predictor.weight"
    assert torch.equal(checkpoint.model[weight], copy.model[weight])
    assert (checkpoint.engine, checkpoint.architecture) == ("detectron2", architecture)
    assert checkpoint.source == one.source and checkpoint.recipe == one.recipe.to_dict()
    assert {"loss", "AP", "AP50"} <= set(checkpoint.metrics)
    assert {"detectron2", "torch"} <= set(checkpoint.versions)
    left = sorted(path.name for path in one.folder.iterdir() if "tfevents" not in path.name)
    written = ["best.pt", "detector.pt", "log.txt", "metrics.json", "tensorboard", "validation"]
    assert left == [*written, "validations.json"]
    assert [path.name for path in (one.folder / "validation").iterdir()] == ["000012.png"]

    detector = load(checkpoint, torch.device("cpu"))
    images = [np.array(Image.open(record.path).convert("RGB")) for record in records]
    found = detector.predict(images)
    assert len(found) == len(images)
    for image, masks in zip(images, found, strict=True):
        assert len(masks) <= 100
        assert all(mask.segmentation["size"] == list(image.shape[:2]) for mask in masks)
        assert all(mask.area == mask.to_array().sum() for mask in masks)


def test_the_whole_loss_falls(records, tmp_path, job):
    """In so many steps on one image, also with the heads' losses, and it is read back."""
    losses = []
    one = job(
        records,
        tmp_path / "run",
        iterations=40,
        report=lambda done, total, metrics: losses.append(metrics["loss"]),
    )
    train(one)
    assert np.mean(losses[-8:]) < 0.85 * np.mean(losses[:8])
    logged = dict(logged_losses(one.folder))
    assert sorted(logged) == [20, 40]
    assert logged[40] < logged[20]


class Killed(BaseException):
    """Ends a run as a signal would: nothing is written any more."""


def test_a_run_that_was_killed_and_stopped_ends_where_the_other_one_does(records, tmp_path, job):
    whole = job(records, tmp_path / "whole")
    train(whole)

    folder = tmp_path / "broken"

    def kill(done, total, metrics):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        train(job(records, folder, report=kill))
    assert (folder / "last_checkpoint").read_text() == "model_0000001.pth"
    done = []
    stopped = job(records, folder, report=lambda count, *_: done.append(count), stop=lambda: True)
    with pytest.raises(TrainingStoppedError, match="stopped after 3 of 4 iterations of round 0"):
        train(stopped)
    assert [path.name for path in folder.glob("*.pth")] == ["model_0000002.pth"]
    broken = job(records, folder, report=lambda count, *_: done.append(count))
    train(broken)
    assert done == [3, 4]

    first, second = (read_checkpoint(one.output) for one in (whole, broken))
    assert all(torch.equal(value, second.model[name]) for name, value in first.model.items())
    assert first.metrics == second.metrics
