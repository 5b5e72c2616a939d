"""What of a file fits a model is loaded and counted, and what does not is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError
from fiftyone_promerge.training.checkpoints.initial_weights import (
    Predictor,
    is_classifier,
    load_backbone,
    load_fitting,
    read_initial_weights,
    with_classes,
)

PARTS = {"backbone": "body.", "heads": "head."}
FILE = Path("w.pth")


@pytest.fixture
def model():
    """A body of a convolution and a norm, under a linear head."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    return nn.ModuleDict({"body": body, "head": nn.Linear(4, 2)})


def state(model, **changes):
    values = {name: torch.ones_like(value) for name, value in model.state_dict().items()}
    return {**values, **{name.replace("__", "."): value for name, value in changes.items()}}


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_is_read_whatever_wrote_it(model, tmp_path, name):
    values = {f"module.{name}": value for name, value in state(model["body"]).items()}
    if name.endswith("pth"):
        torch.save({"teacher": values, "epoch": 3}, tmp_path / name)
    else:
        save_file(values, tmp_path / name)
    assert read_initial_weights(tmp_path / name).tensors.keys() == model["body"].state_dict().keys()


def test_all_that_fits_is_loaded_and_counted(model):
    assert load_fitting(model, state(model), PARTS, FILE) == (
        "backbone 6 of 6, heads 2 of 2 tensors"
    )
    assert all(bool((value == 1).all()) for value in model.state_dict().values())


class Tells(nn.Module):
    """A predictor of so many classes."""

    def __init__(self, classes):
        super().__init__()
        self.scores = nn.Linear(4, classes + 1)
        self.boxes = nn.Linear(4, 2 * classes)


PREDICTORS = (Predictor("scores.", 1, "first"), Predictor("boxes.", 2, "none"))


def test_each_class_begins_as_the_one_that_was_known():
    found = Tells(1).state_dict()
    fitted = with_classes(Tells(3), found, PREDICTORS, ("object",), ("a", "b", "c"))
    scores = found["scores.weight"]
    assert torch.equal(fitted["scores.weight"], scores[[0, 1, 1, 1]])
    assert torch.equal(fitted["boxes.bias"], found["boxes.bias"].repeat(3))
    assert load_fitting(Tells(3), fitted, {"none": "x."}, FILE) == "none 0 of 0 tensors"


def test_a_class_keeps_what_was_learned_under_its_name():
    found = Tells(3).state_dict()
    fitted = with_classes(Tells(2), found, PREDICTORS, ("a", "b", "c"), ("c", "a"))
    assert torch.equal(fitted["scores.weight"], found["scores.weight"][[0, 3, 1]])
    assert torch.equal(fitted["boxes.weight"], found["boxes.weight"][[4, 5, 0, 1]])


@pytest.mark.parametrize("names", [("a", "b", "c"), None])
def test_other_classes_are_left_out(names):
    """Also where there are as many of them, whose numbers would fit."""
    model = Tells(3)
    fitted = with_classes(model, Tells(3).state_dict(), PREDICTORS, names, ("x", "y", "z"))
    with pytest.raises(CheckpointError, match="nothing in"):
        load_fitting(model, fitted, {"none": "x."}, FILE)


def test_what_does_not_fit_is_named_and_left_out(model):
    before = model["head"].weight.detach().clone()
    found = state(model, head__weight=torch.ones(5, 4), other=torch.ones(1))
    assert load_fitting(model, found, PARTS, FILE) == (
        "backbone 6 of 6, heads 1 of 2 tensors; left out: head.weight (other shape), other"
    )
    assert torch.equal(model["head"].weight, before)
    many = {f"extra{number}": torch.ones(1) for number in range(9)}
    assert load_fitting(model, {**state(model), **many}, PARTS, FILE).endswith(
        "; left out: extra0, extra1, extra2, extra3 and 5 more"
    )


def test_a_backbone_must_fit_whole(model):
    with pytest.raises(CheckpointError, match=r"w\.pth is of another arch.*: 1 of another shape"):
        load_fitting(model, state(model, body__0__bias=torch.ones(3)), PARTS, FILE)


def test_statistics_are_taken_where_there_is_a_place_for_them(model):
    """A file need not say how many batches its norms have seen."""
    found = {n: v for n, v in state(model["body"]).items() if not n.endswith("tracked")}
    load_backbone(model["body"], found, FILE)
    assert (model["body"][1].running_var == 1).all()
    groups = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))
    load_backbone(groups, found, FILE)
    del found["1.running_mean"]
    with pytest.raises(CheckpointError, match=r"1 missing \(1\.running_mean\)"):
        load_backbone(model["body"], found, FILE)


def test_heads_alone_are_loaded_without_a_backbone(model):
    found = {"head.weight": torch.ones(2, 4)}
    assert load_fitting(model, found, PARTS, FILE) == "backbone 0 of 6, heads 1 of 2 tensors"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"foo": torch.ones(1)}, r"nothing in w\.pth fits"),
        ({}, r"nothing in w\.pth fits"),
        ({"head.weight": torch.full((2, 4), torch.nan)}, "numbers that are not finite"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(model, found, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        load_fitting(model, found, PARTS, FILE)
    assert "\n" not in str(caught.value)


def test_classifiers_are_known_by_their_names():
    assert is_classifier("fc.weight") and is_classifier("head.mlp.0.weight")
    assert not is_classifier("layer1.0.conv1.weight")
