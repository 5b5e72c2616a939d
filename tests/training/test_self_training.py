"""Labels of the next round: sure predictions, and the old masks that none of them covers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from fiftyone_promerge.training import TrainingStoppedError
from fiftyone_promerge.training.data.records import RecordFile, mask_from_rle, write_records
from fiftyone_promerge.training.engines.base import Detector, World
from fiftyone_promerge.training.self_training import LabelRule, combine, write_labels
from promerge_core.masks.rle import encode_rle

RULE = LabelRule(score_threshold=0.7, label_iou=0.5)


def bar(start, stop, score=1.0):
    """Columns of a 10 x 100 image, so that IoUs can be read off."""
    mask = np.zeros((1, 10, 100), bool)
    mask[:, :, start:stop] = True
    return mask_from_rle(encode_rle(mask)[0], score)


def test_only_sure_predictions_become_labels():
    predictions = [bar(0, 10, 0.9), bar(20, 30, 0.7), bar(40, 50, 0.69)]
    assert combine(predictions, [], RULE) == predictions[:2]


def test_old_masks_are_kept_unless_a_sure_prediction_covers_them():
    sure, unsure = bar(0, 20, 0.8), bar(60, 80, 0.1)
    old = [
        bar(0, 10),  # IoU exactly 0.5 with the sure one: covered
        bar(0, 9),  # 0.45: kept
        bar(0, 20),  # 1: covered
        bar(60, 80),  # covered by the unsure one alone: kept
        bar(90, 99),
    ]
    assert combine([sure, unsure], old, RULE) == [sure, old[1], old[3], old[4]]


def test_without_sure_predictions_the_labels_stay():
    old = [bar(0, 10), bar(5, 20)]
    assert combine([bar(0, 10, 0.2)], old, RULE) == old
    assert combine([], old, RULE) == old
    assert combine([], [], RULE) == []


def test_a_box_alone_stays_one(records, tmp_path):
    class Nothing(Detector):
        device = torch.device("cpu")

        def predict(self, images):
            return [[] for _ in images]

    box = dataclasses.replace(records[0].masks[0], label="mug")
    old = [dataclasses.replace(one, masks=one.masks[1:], boxes=(box,)) for one in records]
    write_records(tmp_path / "old.jsonl", old)
    write_labels(Nothing(), RecordFile(tmp_path / "old.jsonl"), tmp_path / "new.jsonl", RULE)
    assert list(RecordFile(tmp_path / "new.jsonl")) == old


class Brightness(Detector):
    """Finds the bright pixels of each image, as one mask that it is sure of."""

    device = torch.device("cpu")

    def __init__(self):
        self.images = 0

    def predict(self, images):
        self.images += len(images)
        return [
            [mask_from_rle(encode_rle((image.mean(2) > 100)[None])[0], 0.9)] for image in images
        ]


@pytest.fixture
def old(records, tmp_path, monkeypatch):
    """The drawn images' records, labelled in chunks of four."""
    monkeypatch.setattr("fiftyone_promerge.training.self_training._CHUNK", 4)
    write_records(tmp_path / "old.jsonl", records)
    return RecordFile(tmp_path / "old.jsonl")


def test_records_of_the_next_round_keep_images_and_order(old, records, tmp_path):
    path = tmp_path / "records.jsonl"
    write_labels(Brightness(), old, path, RULE, num_workers=1)
    made = RecordFile(path)
    assert [(r.key, r.path, r.width) for r in made] == [(r.key, r.path, r.width) for r in records]
    assert all(record.masks[0].score == 0.9 for record in made)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "old.index.npy",
        "old.jsonl",
        "records.index.npy",
        "records.jsonl",
    ]


def test_stopped_and_resumed_by_two_processes_it_makes_the_same(old, tmp_path):
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    write_labels(Brightness(), old, whole, RULE)
    polls = iter([False, False, True])
    with pytest.raises(TrainingStoppedError, match="the same call goes on there"):
        write_labels(Brightness(), old, parts, RULE, stop=lambda: next(polls))
    first, second = Brightness(), Brightness()
    (tmp_path / "parts.8.jsonl").unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        # The second process would wait for the first to put the parts together.
        patch.setattr("fiftyone_promerge.training.self_training.wait_for", lambda paths: None)
        write_labels(second, old, parts, RULE, world=World(1, 2, 1, 2))
    write_labels(first, old, parts, RULE, world=World(0, 2, 0, 2))
    assert parts.read_bytes() == whole.read_bytes()
    assert first.images + second.images <= 10 - 4, "what was done before the stop is not redone"


def test_an_image_that_cannot_be_read_keeps_its_old_masks(records, tmp_path):
    gone = dataclasses.replace(records[0], path=str(tmp_path / "gone.png"))
    write_records(tmp_path / "old.jsonl", [gone, records[1]])
    path = tmp_path / "records.jsonl"
    write_labels(Brightness(), RecordFile(tmp_path / "old.jsonl"), path, RULE)
    made = RecordFile(path)
    assert made[0].masks == gone.masks
    assert made[1].masks != records[1].masks
