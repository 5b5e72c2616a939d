"""Training with detectron2 on real images: a falling loss, exact resume, several processes."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training import TrainingStoppedError
from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError, read_checkpoint
from fiftyone_promerge.training.data.records import Record, RecordFile, mask_from_rle, write_records
from fiftyone_promerge.training.engines.base import Job
from fiftyone_promerge.training.engines.detectron2.architectures import ARCHITECTURES
from fiftyone_promerge.training.engines.detectron2.engine import load, train
from fiftyone_promerge.training.engines.detectron2.hooks import Checkpointer
from fiftyone_promerge.training.engines.detectron2.solver import learning_rates, make_optimizer
from fiftyone_promerge.training.recipes import SMOKE
from fiftyone_promerge.training.run.logs import logged_losses

TINY = dataclasses.replace(
    SMOKE,
    rounds=(dataclasses.replace(SMOKE.rounds[0], learning_rate=0.02, rpn_train_proposals=50),),
    short_sides=(64,),
    long_side=96,
    test_short_side=64,
    warmup_iterations=1,
    rpn_pre_nms=(100, 50),
    rpn_test_proposals=20,
    proposals_per_image=16,
    validations=1,
    checkpoints=2,
)


@pytest.fixture
def records(shared_dir, tmp_path) -> RecordFile:
    """Two images of COCO with their true masks, one of them to train on."""
    sample = shared_dir / "coco_sample"
    annotations = json.loads((sample / "instances_train2017.json").read_text(encoding="utf-8"))
    found = []
    for image in annotations["images"][:2]:
        size = image["height"], image["width"]
        masks = tuple(
            mask_from_rle(coco_mask.merge(coco_mask.frPyObjects(one["segmentation"], *size)))
            for one in annotations["annotations"]
            if one["image_id"] == image["id"] and not one["iscrowd"]
        )
        path = sample / "train2017" / image["file_name"]
        found.append(Record(str(image["id"]), str(path), *size, masks))
    write_records(tmp_path / "records.jsonl", found)
    return RecordFile(tmp_path / "records.jsonl")


def job(records, folder, iterations=4, **changes):
    schedule = dataclasses.replace(TINY.rounds[0], iterations=iterations, milestones=())
    values = {
        "records": records,
        "folder": folder,
        "output": folder / "detector.pt",
        "recipe": dataclasses.replace(TINY, rounds=(schedule,)),
        "round": 0,
        "architecture": "mask_rcnn",
        "weights": None,
        "detector": None,
        "source": {"dataset": "coco_sample", "field": "ground_truth", "images": 2},
        "num_workers": 0,
        "report": lambda done, metrics: None,
        "stop": lambda: False,
    }
    return Job(**{**values, **changes})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_losses_fall_and_the_checkpoint_predicts(records, tmp_path, architecture):
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
        report=lambda done, metrics: reports.append((done, metrics)),
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
    assert left == ["detector.pt", "log.txt", "metrics.json"]

    detector = load(checkpoint, torch.device("cpu"))
    images = [np.array(Image.open(record.path).convert("RGB")) for record in records]
    found = detector.predict(images)
    assert len(found) == len(images)
    for image, masks in zip(images, found, strict=True):
        assert len(masks) <= 100
        assert all(mask.segmentation["size"] == list(image.shape[:2]) for mask in masks)
        assert all(mask.area == mask.to_array().sum() for mask in masks)


def test_the_whole_loss_falls(records, tmp_path):
    """In so many steps on one image, also with the heads' losses, and it is read back."""
    losses = []
    one = job(
        records,
        tmp_path / "run",
        iterations=40,
        report=lambda done, metrics: losses.append(metrics["loss"]),
    )
    train(one)
    assert np.mean(losses[-8:]) < 0.85 * np.mean(losses[:8])
    logged = dict(logged_losses(one.folder))
    assert sorted(logged) == [20, 40]
    assert logged[40] < logged[20]


class Killed(BaseException):
    """Ends a run as a signal would: nothing is written any more."""


def test_a_run_that_was_killed_and_stopped_ends_where_the_other_one_does(records, tmp_path):
    whole = job(records, tmp_path / "whole")
    train(whole)

    folder = tmp_path / "broken"

    def kill(done, metrics):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        train(job(records, folder, report=kill))
    assert (folder / "last_checkpoint").read_text() == "model_0000001.pth"
    done = []
    stopped = job(records, folder, report=lambda count, _: done.append(count), stop=lambda: True)
    with pytest.raises(TrainingStoppedError, match="stopped after 3 of 4 iterations of round 0"):
        train(stopped)
    assert [path.name for path in folder.glob("*.pth")] == ["model_0000002.pth"]
    broken = job(records, folder, report=lambda count, _: done.append(count))
    train(broken)
    assert done == [3, 4]

    first, second = (read_checkpoint(one.output) for one in (whole, broken))
    assert all(torch.equal(value, second.model[name]) for name, value in first.model.items())
    assert first.metrics == second.metrics


def test_two_processes_train_one_model(records, tmp_path):
    """By detectron2's own `launch`, which spawns the processes: both end with the same weights."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent)])}
    finished = subprocess.run(
        [sys.executable, str(script), str(records.path), str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
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
    from test_engine import job
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
        train(job(RecordFile(path), folder, iterations=2, report=lambda done, _: print(done)))


    if __name__ == "__main__":
        launch(main, 2, args=(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_the_optimizer_is_cutlers():
    """Norms do not decay, and each parameter's gradient is clipped alone."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    one = job(None, Path())
    optimizer = make_optimizer(one, model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    optimizer.step()
    limit, rate = one.recipe.gradient_norm, one.schedule.learning_rate
    for index, (parameter, old) in enumerate(zip(model.parameters(), before, strict=True)):
        gradient = torch.full_like(old, limit / old.numel() ** 0.5)
        decay = one.recipe.weight_decay * old if index < 2 else 0.0
        torch.testing.assert_close(parameter.detach(), old - rate * (gradient + decay))


def test_the_learning_rate_rises_and_then_falls_at_the_milestones():
    recipe = dataclasses.replace(SMOKE, warmup_iterations=10, warmup_factor=0.1, gamma=0.02)
    schedule = dataclasses.replace(recipe.rounds[0], iterations=100, milestones=(50, 80))
    rates = learning_rates(recipe, schedule)
    for step in range(100):
        expected = 0.1 + 0.9 * step / 10 if step < 10 else 0.02 ** ((step >= 50) + (step >= 80))
        assert rates(step / 100) == pytest.approx(expected), step


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
