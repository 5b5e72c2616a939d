"""What tests of detectron2 share: two photos to train on, a job of seconds, a model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pycocotools import mask as coco_mask

from fiftyone_promerge.training.data.records import Record, RecordFile, mask_from_rle, write_records
from fiftyone_promerge.training.engines.base import Job
from fiftyone_promerge.training.recipes import CUTLER, SMOKE

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


def job(records: RecordFile | None, folder: Path, iterations: int = 4, **changes: Any) -> Job:
    """A round of so many iterations."""
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
        "patience": None,
        "report": lambda done, total, metrics: None,
        "stop": lambda: False,
    }
    return Job(**{**values, **changes})


@pytest.fixture(name="job")
def job_of_seconds() -> Callable[..., Job]:
    """Makes a job."""
    return job


@pytest.fixture
def build() -> Callable[..., Any]:
    """Makes a model with CutLER's numbers and seeded weights."""
    from detectron2.config import instantiate

    from fiftyone_promerge.training.engines.detectron2.models import model_config

    def call(
        architecture: str, schedule: Any = CUTLER.rounds[0], seed: int = 0, **options: Any
    ) -> Any:
        torch.manual_seed(seed)
        return instantiate(model_config(architecture, CUTLER, schedule, **options))

    return call
