"""What Lightning drives: the optimizer, and the shares of the processes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from fiftyone_promerge.training.data.records import RecordFile, write_records
from fiftyone_promerge.training.engines.base import Job, World
from fiftyone_promerge.training.engines.torchvision.lightning_module import (
    DetectorModule,
    make_loader,
)


@pytest.fixture
def job(records, tiny_recipe, tmp_path):
    """The first round of a run that is never begun."""
    write_records(tmp_path / "records.jsonl", records)
    return Job(
        records=RecordFile(tmp_path / "records.jsonl"),
        folder=tmp_path,
        output=tmp_path / "detector.pt",
        recipe=dataclasses.replace(tiny_recipe, warmup_iterations=2, warmup_factor=0.1),
        round=0,
        architecture="mask_rcnn",
        weights=None,
        detector=None,
        source={},
        num_workers=0,
        patience=None,
        report=lambda done, total, metrics: None,
        stop=lambda: False,
    )


def test_norms_do_not_decay_and_every_parameter_is_trained(job):
    module = DetectorModule(job, World())
    optimizer = module.configure_optimizers()["optimizer"]
    decaying, norms = optimizer.param_groups
    assert decaying["weight_decay"] == job.recipe.weight_decay and norms["weight_decay"] == 0
    assert len(decaying["params"]) + len(norms["params"]) == len(list(module.model.parameters()))
    of_norms = {
        id(parameter)
        for part in module.model.modules()
        if isinstance(part, nn.BatchNorm2d)
        for parameter in part.parameters()
    }
    assert {id(parameter) for parameter in norms["params"]} == of_norms


def test_the_learning_rate_rises_and_falls_at_the_milestone(job):
    assert job.schedule.milestones == (3,)
    chosen = DetectorModule(job, World()).configure_optimizers()
    optimizer, scheduler = chosen["optimizer"], chosen["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"] / job.schedule.learning_rate)
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.1, 0.55, 1.0, job.recipe.gamma])


def test_each_parameter_is_clipped_alone(job):
    """A large gradient of one parameter makes no other's smaller (CutLER's CLIP_TYPE: norm)."""
    module = DetectorModule(job, World())
    first, second, *others = module.model.parameters()
    first.grad = torch.full_like(first, 7.0)
    second.grad = torch.full_like(second, 1e-6)
    module.configure_gradient_clipping(torch.optim.SGD(module.model.parameters(), lr=1.0))
    assert float(first.grad.norm()) == pytest.approx(job.recipe.gradient_norm, rel=1e-4)
    assert torch.equal(second.grad, torch.full_like(second, 1e-6))
    assert all(other.grad is None for other in others)


def test_processes_share_the_validation_images_and_none_is_without(job):
    everything = job.split.validation.tolist()
    assert len(everything) == 2

    def share(rank, count):
        loader = DetectorModule(job, World(rank, count, rank, count)).val_dataloader()
        return [position for batch in loader for position, _ in batch]

    assert share(0, 1) == everything
    assert [share(rank, 2) for rank in range(2)] == [everything[:1], everything[1:]]
    assert [share(rank, 3) for rank in range(3)] == [everything[:1], everything[1:], everything[:1]]


def test_what_the_first_round_validates_on_no_round_trains_on(job, records, tmp_path):
    """Also not where a later round has labels on images that the first one had none on."""
    held = {job.records[int(position)].key for position in job.split.validation}
    fewer = [
        one if one.key in held or index % 2 else dataclasses.replace(one, masks=())
        for index, one in enumerate(records)
    ]
    write_records(tmp_path / "first.jsonl", fewer)
    first = dataclasses.replace(job, records=RecordFile(tmp_path / "first.jsonl"))
    later = dataclasses.replace(job, first=first.records)
    assert later.split.validation.tolist() == first.split.validation.tolist()
    both = sorted([*later.split.validation, *later.split.train])
    assert both == list(range(len(records)))
    assert len(later.split.train) > len(first.split.train)


def test_training_continues_at_the_step_it_is_told(job):
    whole = [[sample.number for sample in batch] for batch in make_loader(job, World())]
    assert whole == [[0, 1], [2, 3], [4, 5], [6, 7]]
    second = [
        [sample.number for sample in batch]
        for batch in make_loader(job, World(1, 2, 1, 2), first=2)
    ]
    assert second == [[5], [7]]
