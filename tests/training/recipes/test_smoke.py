"""The recipe `smoke` on real photos: the loss falls, and AP rises above an untrained detector's.

It takes about a quarter of an hour of one core, so it runs when it is asked for:
PROMERGE_SLOW_TESTS=1.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from fiftyone_promerge.training import Record, load, mask_from_rle, train
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint, save_checkpoint
from fiftyone_promerge.training.data.samples import open_record
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN
from fiftyone_promerge.training.recipes import SMOKE
from fiftyone_promerge.training.validation import average_precision

pytestmark = [
    pytest.mark.skipif(
        "PROMERGE_SLOW_TESTS" not in os.environ,
        reason="trains for ten minutes and more: set PROMERGE_SLOW_TESTS=1",
    ),
    pytest.mark.timeout(3600),
]


def coco_records(folder: Path, split: str) -> list[Record]:
    """Photos and their true masks, all of one class."""
    coco = COCO(str(folder / f"instances_{split}.json"))
    records = []
    for number, image in sorted(coco.imgs.items()):
        groups: tuple[list, list] = ([], [])
        for annotation in coco.imgToAnns[number]:
            groups[annotation["iscrowd"]].append(mask_from_rle(coco.annToRLE(annotation)))
        path = str(folder / split / image["file_name"])
        masks, crowds = map(tuple, groups)
        records.append(Record(str(number), path, image["height"], image["width"], masks, crowds))
    return records


def test_loss_falls_and_ap_rises(shared_dir, tmp_path):
    sample = shared_dir / "coco_sample"
    losses = []
    path = train(
        coco_records(sample, "train2017"),
        tmp_path / "run",
        source={"dataset": "coco_sample", "field": "ground_truth", "images": 80},
        recipe="smoke",
        weights="random",
        progress=lambda done, total, metrics: losses.append(metrics["loss"]),
    )
    start, end = np.mean(losses[:5]), np.mean(losses[-30:])
    checkpoint = read_checkpoint(path)
    torch.manual_seed(SMOKE.seed)
    initial = MaskRCNN(SMOKE, SMOKE.rounds[0]).state_dict()
    save_checkpoint(tmp_path / "untrained.pt", dataclasses.replace(checkpoint, model=initial))

    truth = coco_records(sample, "val2017")
    images = [np.array(open_record(record)) for record in truth]
    aps = []
    for one in (tmp_path / "untrained.pt", path):
        detector = load(one, torch.device("cpu"))
        aps.append(average_precision(truth, [detector.predict([image])[0] for image in images]))
    print(f"loss {start:.2f} -> {end:.2f}, untrained {aps[0]}, trained {aps[1]}")
    assert end < 0.8 * start
    assert aps[1]["AP"] > 2 * aps[0]["AP"]
