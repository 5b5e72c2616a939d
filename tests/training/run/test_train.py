"""Training runs: the same numbers twice, resumed anywhere, on one process or two."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from fiftyone_promerge.training import TrainingError, is_running, load
from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError, read_checkpoint
from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.data.records import RecordError
from fiftyone_promerge.training.recipes import RecipeError, find_recipe
from promerge_core import PromergeError
from promerge_core.runs.locks import hold


def test_the_checkpoint_says_everything(trained, records):
    path, _ = trained
    checkpoint = read_checkpoint(path)
    assert (checkpoint.engine, checkpoint.architecture) == ("torchvision", "mask_rcnn_small")
    assert checkpoint.recipe["name"] == "tiny"
    assert checkpoint.recipe["num_images"] == 10
    assert checkpoint.round == 0
    assert checkpoint.source == {"dataset": "drawn", "field": "boxes", "images": 10}
    assert {"torch", "torchvision", "lightning", "fiftyone-promerge"} == set(checkpoint.versions)
    assert 0 <= checkpoint.metrics["AP"] <= 1
    assert np.isfinite(checkpoint.metrics["loss"])


def test_a_run_with_classes_begins_with_the_detector_of_one(
    trained, run, records, tmp_path, capsys
):
    """Some labels have a box alone, and some no class."""
    named = [
        dataclasses.replace(
            record,
            masks=(dataclasses.replace(record.masks[0], label="cat"),),
            boxes=(dataclasses.replace(record.masks[1], label="mug" if number % 3 else "object"),),
        )
        for number, record in enumerate(records)
    ]
    options = {"classes": "label", "weights": str(trained[0])}
    path = run(named, tmp_path / "run", **options)
    said = capsys.readouterr().out
    assert "classes: cat (10), mug (6); 4 labels have no class" in said
    assert re.search(r"heads (\d+) of \1 tensors\n", said)
    assert read_checkpoint(path).labelling == Labelling(("cat", "mug"))
    (masks,) = load(path, torch.device("cpu")).predict([np.full((64, 64, 3), 200, np.uint8)])
    assert {mask.label for mask in masks} <= {"cat", "mug"} and masks
    before, after = (read_checkpoint(one).model for one in (trained[0], path))
    scores = "roi_heads.box_predictor.cls_score.weight"
    assert len(before[scores]) == 2 and len(after[scores]) == 3
    with pytest.raises(TrainingError, match="begun with classes label, now it is None"):
        run(named, tmp_path / "run", weights=str(trained[0]))


def test_progress_counts_iterations_and_tells_losses(trained):
    _, calls = trained
    assert [call[:2] for call in calls] == [(done, 4) for done in range(1, 5)]
    parts = ["classifier", "box_reg", "mask", "objectness", "rpn_box_reg"]
    for _, _, metrics in calls:
        total = sum(metrics[f"loss_{part}"] for part in parts)
        assert metrics["loss"] == pytest.approx(total, rel=1e-5)


def test_the_same_command_twice_gives_the_same_numbers(
    trained, run, records, tmp_path, state, assert_same
):
    path, calls = trained
    again = []
    other = run(records, tmp_path, progress=lambda *call: again.append(call), num_workers=2)
    assert [dict(call[2]) for call in again] == [call[2] for call in calls]
    assert_same(state(path), state(other))


def test_killed_and_resumed_it_ends_at_the_same_place(
    trained, run, records, tmp_path, kill_after, state, assert_same
):
    images = tmp_path / "images"
    images.mkdir()
    kill_after(3, images, tmp_path / "run")
    calls = []
    path = run(records, tmp_path / "run", progress=lambda *call: calls.append(call))
    assert [call[0] for call in calls] == [3, 4]  # a checkpoint was written after 2 iterations
    assert_same(state(trained[0]), state(path))


def test_what_progress_raises_stops_it_and_nothing_is_lost(
    trained, run, records, tmp_path, state, assert_same
):
    def stop(done, total, metrics):
        if done == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        run(records, tmp_path, progress=stop)
    calls = []
    path = run(records, tmp_path, progress=lambda *call: calls.append(call))
    assert [call[0] for call in calls] == [4]
    assert_same(state(trained[0]), state(path))


@pytest.fixture
def stopped(run, records, tmp_path):
    """The folder of a run that was stopped after three iterations, and its last checkpoint."""

    def stop(done, total, metrics):
        if done == 3:
            raise KeyError

    with pytest.raises(KeyError):
        run(records, tmp_path, progress=stop)
    return tmp_path, tmp_path / "round_0" / "last.ckpt"


def test_a_checkpoint_that_cannot_be_continued_is_one_sentence(stopped, run, records):
    folder, last = stopped
    whole = last.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (b"", whole[:middle], flipped):
        last.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"last.ckpt is damaged or another training's"):
            run(records, folder)
    values = torch.load(io.BytesIO(whole), weights_only=True)
    values["state_dict"].popitem()
    torch.save(values, last)
    with pytest.raises(CheckpointError, match=r"last.ckpt is damaged or another training's"):
        run(records, folder)


def test_what_another_training_left_is_not_taken_for_this_one_s(stopped, run, records):
    folder, last = stopped
    (folder / "run.json").unlink()
    with pytest.raises(TrainingError, match=r"last.ckpt is of another training, whose run.json is"):
        run(records, folder)
    last.rename(last.with_name("detector.pt"))
    with pytest.raises(TrainingError, match=r"detector.pt is of another training"):
        run(records, folder)
    assert last.with_name("detector.pt").exists() and not (folder / "run.json").exists()


def test_a_finished_run_is_not_done_again(trained, run, records):
    path, _ = trained
    calls = []
    assert run(records, path.parents[1], progress=lambda *call: calls.append(call)) == path
    assert calls == []


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


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "tensorflow"}, TrainingError, "no engine 'tensorflow'; there are torchvision"),
        ({"recipe": "none"}, RecipeError, "no recipe 'none'"),
        ({"architecture": "yolo"}, TrainingError, "no architecture 'yolo'; it has mask_rcnn"),
        ({"architecture": "timm:resnet19"}, TrainingError, "no model 'resnet19'; did you mean"),
        ({"architecture": "timm:vit_tiny_patch16_224"}, TrainingError, "no features of strides"),
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


def test_a_recipe_of_ones_own_trains_and_stays_what_it_was(
    trained, run, records, tmp_path, state, assert_same
):
    mine = tmp_path / "mine.yaml"
    mine.write_text("base: tiny\n")
    path = run(records, tmp_path / "run", recipe=str(mine))
    assert read_checkpoint(path).recipe["name"] == "mine"
    assert_same(state(trained[0]), state(path))
    begun = json.loads((tmp_path / "run" / "run.json").read_text())
    assert begun["own"]["name"] == begun["recipe"]["name"] == "mine"
    assert run(records, tmp_path / "run", recipe=str(mine)) == path
    assert run(records, tmp_path / "run", recipe=find_recipe(mine)) == path
    mine.write_text("base: tiny\nrounds: [{rpn_nms: 0.5}, {}]\n")
    with pytest.raises(TrainingError, match=r"begun with rpn_nms of round 0 0\.65, now it is 0\.5"):
        run(records, tmp_path / "run", recipe=mine)
    with pytest.raises(TrainingError, match=r"begun with recipe mine \(your own\), now it is tiny"):
        run(records, tmp_path / "run")


def test_a_second_process_does_not_train_in_the_same_folder(run, records, tmp_path):
    with hold(tmp_path / "run.json"), ThreadPoolExecutor() as others:
        assert is_running(tmp_path)
        with pytest.raises(PromergeError, match=r"run\.json is being written by process \d+ on"):
            others.submit(run, records, tmp_path).result()
    assert not is_running(tmp_path)
    assert not (tmp_path / "run.json").exists()


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
