"""Weights of others: public detectors, and DINO's ResNet-50."""

from __future__ import annotations

import dataclasses
import pickle
import re

import numpy as np
import pytest
import torch
import torchvision

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    save_checkpoint,
)
from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.engines.detectron2.architectures import ARCHITECTURES
from fiftyone_promerge.training.engines.detectron2.engine import load
from fiftyone_promerge.training.engines.detectron2.weights import import_checkpoint, load_weights
from fiftyone_promerge.training.recipes import CUTLER


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("suffix", ["pth", "pkl"])
def test_a_public_checkpoint_is_loaded(tmp_path, architecture, suffix, build):
    """As detectron2 saves it, with the buffers of older versions and what training leaves."""
    reference = build(architecture, seed=1)
    state = {
        **reference.state_dict(),
        "pixel_mean": torch.zeros(3, 1, 1),
        "pixel_std": torch.ones(3, 1, 1),
        "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(3, 4),
    }
    path = tmp_path / f"cutler_final.{suffix}"
    if suffix == "pth":
        torch.save({"model": state, "optimizer": {"lr": 0.01}, "iteration": 159_999}, path)
    else:
        arrays = {name: value.numpy() for name, value in state.items()}
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "CutLER"}))
    checkpoint = import_checkpoint(path)
    assert (checkpoint.engine, checkpoint.architecture) == ("detectron2", architecture)
    small = {**checkpoint.recipe, "test_short_side": 96, "rpn_test_proposals": 50}
    detector = load(dataclasses.replace(checkpoint, recipe=small), torch.device("cpu"))
    image = np.random.default_rng(0).integers(256, size=(60, 80, 3), dtype=np.uint8)
    masks = detector.predict([image, image[:40]])
    assert [mask.segmentation["size"] for found in masks for mask in found[:1]] == [
        [60, 80],
        [40, 80],
    ]
    for name, value in reference.state_dict().items():
        assert torch.equal(checkpoint.model[name], value), name
    scores = [mask.score for mask in masks[0]]
    assert scores == sorted(scores, reverse=True) and 0 <= min(scores) <= max(scores) <= 1


def test_a_checkpoint_of_another_architecture_is_one_sentence(tmp_path, build):
    path = tmp_path / "resnet.pth"
    torch.save({"model": torchvision.models.resnet18().state_dict()}, path)
    with pytest.raises(CheckpointError, match=r"resnet\.pth is of another architecture than"):
        import_checkpoint(path)
    state = build("mask_rcnn").state_dict()
    del state["backbone.fpn_lateral2.norm.weight"]
    state["roi_heads.mask_head.predictor.weight"] = torch.zeros(80, 256, 1, 1)
    torch.save({"model": state}, path)
    with pytest.raises(CheckpointError) as caught:
        load(import_checkpoint(path), torch.device("cpu"))
    assert str(caught.value) == (
        "the checkpoint is of another architecture: "
        "1 missing (backbone.fpn_lateral2.norm.weight); "
        "1 of another shape (roi_heads.mask_head.predictor.weight)"
    )
    other = dataclasses.replace(import_checkpoint(path), architecture="yolo")
    with pytest.raises(CheckpointError, match="has no architecture 'yolo'"):
        load(other, torch.device("cpu"))


def seeded_resnet50():
    """torchvision's ResNet-50 with seeded weights and statistics, as DINO's file has them."""
    torch.manual_seed(3)
    resnet = torchvision.models.resnet50().eval()
    for name, buffer in resnet.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return resnet


@pytest.mark.parametrize("form", ["official", "full checkpoint", "detectron2"])
def test_dino_resnet_50_gives_the_features_of_torchvisions(tmp_path, form, build):
    resnet = seeded_resnet50()
    state = resnet.state_dict()
    if form == "detectron2":
        path = tmp_path / "dino_RN50_pretrain_d2_format.pkl"
        arrays = {detectron2_name(name): value.numpy() for name, value in state.items()}
        content = {"model": arrays, "__author__": "DINO", "matching_heuristics": True}
        path.write_bytes(pickle.dumps(content))
    else:
        path = tmp_path / "dino_resnet50_pretrain.pth"
        if form == "full checkpoint":
            state = {"state_dict": {f"module.backbone.{name}": v for name, v in state.items()}}
        torch.save(state, path)
    model = build("mask_rcnn")
    load_weights(model, path)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found = model.backbone.bottom_up.eval()(image)
        stem = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(image))))
        first = resnet.layer1(stem)
        last = resnet.layer4(resnet.layer3(resnet.layer2(first)))
    torch.testing.assert_close(found["res2"], first)
    torch.testing.assert_close(found["res5"], last)


def detectron2_name(name):
    """How detectron2's converter of torchvision's models names a parameter."""
    if "layer" not in name:
        name = f"stem.{name}"
    for number in (1, 2, 3, 4):
        name = name.replace(f"layer{number}", f"res{number + 1}")
    for number in (1, 2, 3):
        name = name.replace(f"bn{number}", f"conv{number}.norm")
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_whole_detector_is_begun_with(tmp_path, architecture, build):
    """CutLER's file, and one that this engine wrote."""
    theirs = build(architecture, seed=1).state_dict()
    torch.save({"model": theirs, "iteration": 9}, tmp_path / "cutler.pth")
    ours = Checkpoint("detectron2", architecture, CUTLER.to_dict(), 0, {}, {}, {}, theirs)
    save_checkpoint(tmp_path / "detector.pt", ours)
    for name in ("cutler.pth", "detector.pt"):
        model = build(architecture, seed=2)
        said = load_weights(model, tmp_path / name)
        assert re.fullmatch(
            r"backbone (\d+) of \1, FPN (\d+) of \2, RPN 6 of 6, heads (\d+) of \3 tensors", said
        ), said
        for name, value in model.state_dict().items():
            assert torch.equal(value, theirs[name]), name


def test_what_does_not_fit_of_a_whole_detector_is_named(tmp_path, build):
    """A detector of COCO's 80 classes, and of another architecture; no box predictor is theirs."""
    theirs = build("mask_rcnn", seed=1).state_dict()
    predictor = "roi_heads.box_predictor.cls_score.weight"
    torch.save({"model": {**theirs, predictor: torch.zeros(81, 1024)}}, tmp_path / "coco.pth")
    model = build("mask_rcnn", seed=2)
    before = model.state_dict()[predictor].clone()
    assert load_weights(model, tmp_path / "coco.pth").endswith(
        f"left out: {predictor} (other classes)"
    )
    assert torch.equal(model.state_dict()[predictor], before)

    torch.save({"model": theirs}, tmp_path / "mask_rcnn.pth")
    cascade = build("cascade_mask_rcnn", seed=2)
    said = load_weights(cascade, tmp_path / "mask_rcnn.pth")
    assert "left out: roi_heads.box_head.fc1.weight" in said
    weight = "roi_heads.mask_head.predictor.weight"
    assert torch.equal(cascade.state_dict()[weight], theirs[weight])


def test_a_detector_of_torchvision_is_refused(tmp_path, build):
    """Its classifier would fit by name and shape, with background and object exchanged."""
    theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=2
    )
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    with pytest.raises(CheckpointError, match=r"theirs\.pth is a detector of torchvision, whose"):
        load_weights(build("mask_rcnn"), tmp_path / "theirs.pth")


def test_numbers_that_are_not_finite_are_refused(tmp_path, build):
    theirs = build("mask_rcnn", seed=1).state_dict()
    theirs["roi_heads.mask_head.predictor.bias"].fill_(torch.nan)
    torch.save({"model": theirs}, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"nan\.pth holds numbers that are not finite"):
        load_weights(build("mask_rcnn"), tmp_path / "nan.pth")


def test_each_class_begins_as_the_object_of_a_detector_of_one(tmp_path, build):
    before = build("mask_rcnn").state_dict()
    torch.save({"model": before}, tmp_path / "one.pth")
    labelling = Labelling(("a", "b", "c"))
    model = build("mask_rcnn", seed=1, labelling=labelling)
    assert "left out" not in load_weights(model, tmp_path / "one.pth", labelling)
    after = model.state_dict()
    head = "roi_heads.box_predictor"
    scores = before[f"{head}.cls_score.weight"]
    assert torch.equal(after[f"{head}.cls_score.weight"], scores[[0, 0, 0, 1]])
    boxes = before[f"{head}.bbox_pred.weight"]
    assert torch.equal(after[f"{head}.bbox_pred.weight"], boxes.repeat(3, 1))


def test_initial_weights_of_another_network_are_refused(tmp_path, build):
    path = tmp_path / "resnet18.pth"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"resnet18\.pth is of another architecture"):
        load_weights(build("mask_rcnn"), path)
