"""Training runs: the same numbers twice, resumed anywhere, on one process or two."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fiftyone_promerge.training import TrainingError, load, loss_curve
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.data.records import RecordError
from fiftyone_promerge.training.engines.base import find_engine
from fiftyone_promerge.training.recipes import RECIPES, RecipeError
from promerge_core import MissingExtraError, PromergeError

# Trains the fixtures' records and kills itself after as many iterations as it is told.
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from conftest import OPTIONS, TINY, draw_records
from fiftyone_promerge.training import train
from fiftyone_promerge.training.recipes import RECIPES

RECIPES[TINY.name] = TINY
torch.set_num_threads(1)

def die(done, total, metrics):
    if done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

options = {**OPTIONS, "rounds": int(sys.argv[5])}
train(draw_records(Path(sys.argv[2])), sys.argv[3], progress=die, **options)
"""


def kill_after(iterations, images, folder, rounds=1):
    arguments = [str(Path(__file__).parents[1]), images, folder, str(iterations), str(rounds)]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)])
    assert done.returncode == -signal.SIGKILL


def state(checkpoint):
    return read_checkpoint(checkpoint).model


def assert_same(one, two, **tolerance):
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], **tolerance, msg=lambda m, n=name: n + m)


EXACT = {"rtol": 0, "atol": 0}


def test_the_checkpoint_says_everything(trained, records):
    path, _ = trained
    checkpoint = read_checkpoint(path)
    assert (checkpoint.engine, checkpoint.architecture) == ("torchvision", "mask_rcnn")
    assert checkpoint.recipe["name"] == "tiny"
    assert checkpoint.recipe["num_images"] == 10
    assert checkpoint.round == 0
    assert checkpoint.source == {"dataset": "drawn", "field": "boxes", "images": 10}
    assert {"torch", "torchvision", "lightning", "fiftyone-promerge"} == set(checkpoint.versions)
    assert 0 <= checkpoint.metrics["AP"] <= 1
    assert np.isfinite(checkpoint.metrics["loss"])


def test_progress_counts_iterations_and_tells_losses(trained):
    _, calls = trained
    assert [call[:2] for call in calls] == [(done, 4) for done in range(1, 5)]
    parts = ["classifier", "box_reg", "mask", "objectness", "rpn_box_reg"]
    for _, _, metrics in calls:
        total = sum(metrics[f"loss_{part}"] for part in parts)
        assert metrics["loss"] == pytest.approx(total, rel=1e-5)


def test_the_loss_curve_is_what_was_told(trained):
    path, calls = trained
    told = {done: pytest.approx(metrics["loss"]) for done, _, metrics in calls}
    assert loss_curve(path.parents[1]) == told


def test_the_same_command_twice_gives_the_same_numbers(trained, run, records, tmp_path):
    path, calls = trained
    again = []
    other = run(records, tmp_path, progress=lambda *call: again.append(call), num_workers=2)
    assert [dict(call[2]) for call in again] == [call[2] for call in calls]
    assert_same(state(path), state(other), **EXACT)


def test_killed_and_resumed_it_ends_at_the_same_place(trained, run, records, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    kill_after(3, images, tmp_path / "run")
    calls = []
    path = run(records, tmp_path / "run", progress=lambda *call: calls.append(call))
    assert [call[0] for call in calls] == [3, 4]  # a checkpoint was written after 2 iterations
    assert_same(state(trained[0]), state(path), **EXACT)


def test_what_progress_raises_stops_it_and_nothing_is_lost(trained, run, records, tmp_path):
    def stop(done, total, metrics):
        if done == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        run(records, tmp_path, progress=stop)
    calls = []
    path = run(records, tmp_path, progress=lambda *call: calls.append(call))
    assert [call[0] for call in calls] == [4]
    assert_same(state(trained[0]), state(path), **EXACT)


def test_a_finished_run_is_not_done_again(trained, run, records):
    path, _ = trained
    calls = []
    assert run(records, path.parents[1], progress=lambda *call: calls.append(call)) == path
    assert calls == []


@pytest.fixture
def double_precision(tmp_path, monkeypatch):
    """Numbers are doubles by default, here and in the processes that are started from here."""
    lines = "import torch\ntorch.set_default_dtype(torch.float64)\n"
    (tmp_path / "sitecustomize.py").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_two_processes_train_what_one_does_with_the_doubled_batch(
    run, records, tmp_path, double_precision, tiny_recipe, monkeypatch
):
    # In single precision the norms, of a few values each, make much of the last digit. The images
    # have fewer anchors and proposals than may be sampled, so each has another number of them.
    recipe = dataclasses.replace(
        tiny_recipe, short_sides=(32,), proposals_per_image=64, checkpoints=1
    )
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    one, two = (
        read_checkpoint(run(records, tmp_path / str(devices), batch_size=4, devices=devices))
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


def test_rounds_are_chained_and_resumed_between_any_two_steps(trained, run, records, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    kill_after(5, images, tmp_path / "run", rounds=2)
    round_0, round_1 = (tmp_path / "run" / f"round_{number}" for number in range(2))
    assert (round_1 / "records.jsonl").exists() and not (round_1 / "detector.pt").exists()
    labels = (round_1 / "records.jsonl").read_bytes()
    calls = []
    path = run(records, tmp_path / "run", rounds=2, progress=lambda *call: calls.append(call))
    assert path == round_1 / "detector.pt"
    assert read_checkpoint(path).round == 1
    assert list(loss_curve(tmp_path / "run")) == list(range(1, 7))
    assert [call[:2] for call in calls] == [(5, 6), (6, 6)]
    assert {call[2]["round"] for call in calls} == {1}
    assert (round_1 / "records.jsonl").read_bytes() == labels
    first, second = state(round_0 / "detector.pt"), state(path)
    assert_same(state(trained[0]), first, **EXACT)
    # The second round's learning rate is 0: it still has the weights that it began with.
    weights = [name for name in first if name.endswith("weight")]
    assert_same({n: first[n] for n in weights}, {n: second[n] for n in weights}, **EXACT)


def test_it_prints_what_it_chose(run, records, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fiftyone_promerge.training.run.train.run_rounds", lambda *_: None)
    run(records, tmp_path, batch_size=4)
    printed = capsys.readouterr().out
    assert "Recipe tiny for 10 images: batches of 4" in printed
    assert "round 0: 2 iterations, learning rate 0.08" in printed
    assert "initial weights: RANDOM" in printed


def test_an_image_that_cannot_be_read_is_passed_over(run, records, tmp_path, caplog):
    broken = tmp_path / "broken.png"
    broken.write_text("words")
    several = [dataclasses.replace(one, path=str(broken)) for one in records[:2]]
    run([*several, *records[2:]], tmp_path / "run")
    assert any("broken.png" in message for message in caplog.messages)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "tensorflow"}, TrainingError, "no engine 'tensorflow'; there are torchvision"),
        ({"recipe": "none"}, RecipeError, "no recipe 'none'"),
        ({"architecture": "yolo"}, TrainingError, "no architecture 'yolo'; it has mask_rcnn"),
        ({"rounds": 0}, TrainingError, "has 2 rounds, not 0"),
        ({"rounds": 3}, TrainingError, "has 2 rounds, not 3"),
        ({"devices": 0}, TrainingError, "at least one is needed"),
        ({"weights": "/no/such.pth"}, TrainingError, "no weights file at /no/such.pth"),
        ({"batch_size": 3, "devices": 2}, RecipeError, "cannot be divided evenly among 2"),
    ],
)
def test_bad_settings_are_one_sentence(run, records, tmp_path, options, error, message):
    with pytest.raises(error, match=message) as caught:
        run(records, tmp_path / "run", **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, PromergeError)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_one_sentence_and_leave_no_trace(run, records, tmp_path, count):
    with pytest.raises(RecordError, match=f"{count} of the {count} images have masks"):
        run(records[:count], tmp_path)
    assert not (tmp_path / "run.json").exists()


def test_other_settings_in_a_used_folder_are_one_sentence(trained, run, records):
    folder = trained[0].parents[1]
    with pytest.raises(TrainingError, match="begun with batch_size 2, now it is 4"):
        run(records, folder, batch_size=4)
    with pytest.raises(TrainingError, match="begun with field boxes, now it is other"):
        run(records, folder, source={"dataset": "drawn", "field": "other", "images": 10})


def test_without_lightning_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, find_engine("torchvision").__name__)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fiftyone-promerge\[train\]'"):
        find_engine("torchvision")


FULL_DISK = KILLED.replace(
    "options =",
    """import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**8, 10**8))
options =""",
)


def test_a_full_disk_is_one_sentence(tmp_path):
    arguments = [str(Path(__file__).parents[1]), tmp_path, tmp_path / "run", "9", "1"]
    command = [sys.executable, "-c", FULL_DISK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
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


def test_weights_of_another_architecture_are_one_sentence(run, records, tmp_path):
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(PromergeError, match=r"w\.pth is of another architecture: \d+ missing"):
        run(records, tmp_path / "run", weights=tmp_path / "w.pth")
    # Nothing has begun: the folder is as good as new.
    assert run(records, tmp_path / "run", weights="random").is_file()


def test_a_folder_that_cannot_be_made_is_one_sentence(run, records, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be made"):
        run(records, tmp_path / "file" / "run")


def test_a_detector_predicts_masks_of_the_images_own_size(trained):
    detector = load(trained[0], torch.device("cpu"))
    images = [np.zeros((50, 80, 3), np.uint8), np.full((33, 20, 3), 200, np.uint8)]
    found = detector.predict(images)
    assert len(found) == 2
    for image, masks in zip(images, found, strict=True):
        assert len(masks) <= 100
        assert [mask.score for mask in masks] == sorted((m.score for m in masks), reverse=True)
        assert all(tuple(m.segmentation["size"]) == image.shape[:2] for m in masks)
