"""Weights of others in our Mask R-CNN: what fits is loaded and listed, what cannot is said."""

from __future__ import annotations

import dataclasses
import re

import pytest
import timm
import torch
from torchvision.models import resnet18, resnet50
from torchvision.models.detection import maskrcnn_resnet50_fpn

from fiftyone_promerge.training.checkpoints.checkpoint import Checkpoint, save_checkpoint
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN
from fiftyone_promerge.training.engines.torchvision.weights import load_weights
from promerge_core import PromergeError


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(1)
    return resnet50(weights=None).state_dict()


@pytest.fixture
def model(tiny_recipe):
    return MaskRCNN(tiny_recipe, tiny_recipe.rounds[0])


@pytest.mark.parametrize("wrapping", ["torchvision", "official", "checkpoint"])
def test_dinos_weights_load_in_every_wrapping(resnet, model, tmp_path, wrapping):
    path = tmp_path / "dino.pth"
    content = {
        "torchvision": resnet,
        "official": {name: value for name, value in resnet.items() if not name.startswith("fc.")},
        "checkpoint": {
            "epoch": 3,
            "teacher": {f"module.backbone.{name}": value for name, value in resnet.items()}
            | {"module.head.mlp.0.weight": torch.zeros(2)},
        },
    }[wrapping]
    torch.save(content, path)
    load_weights(model, path)
    for name, value in model.backbone.body.state_dict().items():
        assert torch.equal(value, resnet[name]), name


def test_another_networks_weights_are_one_sentence(resnet, model, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({**resnet, "conv1.weight": torch.zeros(8, 3, 7, 7)}, path)
    with pytest.raises(
        PromergeError, match=r"other\.pth is of another arch.*shape \(conv1\.weight"
    ):
        load_weights(model, path)


def build(recipe, architecture, norm="batch", seed=5):
    torch.manual_seed(seed)
    recipe = dataclasses.replace(recipe, norm=norm)
    return MaskRCNN(recipe, recipe.rounds[0], architecture)


def detectron2_names(state):
    """A state dict of ours under detectron2's names, of one class."""
    named = {}
    for name, tensor in state.items():
        for pattern, replacement in (
            (r"backbone\.body\.(conv1|bn1)", r"backbone.bottom_up.stem.\1"),
            (r"backbone\.body\.layer(\d)", lambda m: f"backbone.bottom_up.res{int(m[1]) + 1}"),
            (r"\bbn(\d)\.", r"conv\1.norm."),
            (r"downsample\.0", "shortcut"),
            (r"downsample\.1", "shortcut.norm"),
            (r"fpn\.inner_blocks\.(\d)", lambda m: f"fpn_lateral{int(m[1]) + 2}"),
            (r"fpn\.layer_blocks\.(\d)", lambda m: f"fpn_output{int(m[1]) + 2}"),
            (r"(fpn_\w+\d)\.0", r"\1"),
            (r"(fpn_\w+\d)\.1", r"\1.norm"),
            (r"rpn\.head\.conv\.0\.0", "proposal_generator.rpn_head.conv"),
            (r"rpn\.head\.cls_logits", "proposal_generator.rpn_head.objectness_logits"),
            (r"rpn\.head\.bbox_pred", "proposal_generator.rpn_head.anchor_deltas"),
            (r"box_head\.fc6", "box_head.fc1"),
            (r"box_head\.fc7", "box_head.fc2"),
            (r"mask_head\.(\d)\.0", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}"),
            (r"mask_predictor\.conv5_mask", "mask_head.deconv"),
            (r"mask_predictor\.mask_fcn_logits", "mask_head.predictor"),
        ):
            name = re.sub(pattern, replacement, name)
        if "cls_score" in name:
            tensor = tensor[[1, 0]]
        if "bbox_pred" in name or "mask_head.predictor" in name:
            tensor = tensor[len(tensor) // 2 :]
        if not name.endswith("num_batches_tracked"):
            named[name] = tensor
    return named


@pytest.mark.parametrize("is_cascade", [False, True])
def test_a_detector_of_detectron2_predicts_here_what_it_is(tiny_recipe, tmp_path, is_cascade):
    """What is used of it comes back; the background has no box and no mask there."""
    theirs, ours = build(tiny_recipe, "mask_rcnn").eval(), build(tiny_recipe, "mask_rcnn", seed=6)
    state = detectron2_names(theirs.state_dict())
    if is_cascade:
        state = {re.sub(r"(box_head|box_predictor)", r"\1.0", n): v for n, v in state.items()}
        state["roi_heads.box_predictor.1.cls_score.bias"] = torch.zeros(2)
    torch.save({"model": state, "iteration": 9}, tmp_path / "cutler.pth")
    said = load_weights(ours, tmp_path / "cutler.pth")
    assert said.startswith("backbone 265 of 265, FPN 40 of 40, RPN 6 of 6, heads 20 of 20 tensors")
    assert ("left out: roi_heads.box_predictor.1.cls_score.bias" in said) == is_cascade
    image = torch.rand(3, 64, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = theirs([image])[0], ours.eval()([image])[0]
    assert len(expected["masks"]) > 0
    assert found["masks"] == expected["masks"]
    assert torch.equal(found["boxes"], expected["boxes"])


def test_a_detector_of_torchvision_keeps_all_but_its_91_classes(tiny_recipe, tmp_path):
    theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    old = {
        re.sub(r"(inner_blocks|layer_blocks)\.(\d)\.0", r"\1.\2", name).replace(
            "rpn.head.conv.0.0", "rpn.head.conv"
        ): value
        for name, value in theirs.items()
    }
    for state in (theirs, old):
        torch.save(state, tmp_path / "coco.pth")
        model = build(tiny_recipe, "mask_rcnn")
        said = load_weights(model, tmp_path / "coco.pth")
        assert said.startswith("backbone 265 of 265, FPN 8 of 40, RPN 6 of 6, heads 14 of 20")
        assert "left out: roi_heads.box_predictor.cls_score.weight (other classes)" in said
        for name in ("backbone.fpn.inner_blocks.2.0.weight", "rpn.head.conv.0.0.bias"):
            assert torch.equal(model.state_dict()[name], theirs[name])


@pytest.mark.parametrize("architecture", ["mask_rcnn_small", "timm:mobilenetv3_small_050"])
def test_our_own_detector_loads_whole_and_into_other_norms(tiny_recipe, tmp_path, architecture):
    theirs = build(tiny_recipe, architecture)
    values = (tiny_recipe.to_dict(), 0, {}, {}, {}, theirs.state_dict())
    path = tmp_path / "best.pt"
    save_checkpoint(path, Checkpoint("torchvision", architecture, *values))
    model = build(tiny_recipe, architecture, seed=6)
    assert "left out" not in load_weights(model, path)
    for name, value in theirs.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    for norm in ("group", "frozen"):
        other = build(tiny_recipe, architecture, norm, seed=6)
        assert re.match(r"backbone (\d+) of \1, FPN (\d+) of \2, RPN 6", load_weights(other, path))


def test_a_resnet_18_fits_the_small_detector_under_any_norm(tiny_recipe, tmp_path):
    state = resnet18(weights=None).state_dict()
    torch.save(state, tmp_path / "r18.pth")
    for norm, count in (("batch", 100), ("group", 60), ("frozen", 100)):
        model = build(tiny_recipe, "mask_rcnn_small", norm)
        said = load_weights(model, tmp_path / "r18.pth")
        assert said.startswith(f"backbone {count} of {count}, FPN 0 of"), said
        assert torch.equal(model.backbone.body.bn1.weight, state["bn1.weight"])
    with pytest.raises(PromergeError, match=r"r18\.pth is of another architecture: \d+ missing"):
        load_weights(build(tiny_recipe, "mask_rcnn"), tmp_path / "r18.pth")


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "convnext_atto"])
def test_a_whole_network_of_timm_fits_its_features(tiny_recipe, tmp_path, name):
    """Their features are what timm's own model gives."""
    net = timm.create_model(name).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model = build(tiny_recipe, f"timm:{name}").eval()
    assert re.match(r"backbone (\d+) of \1, FPN 0 of", load_weights(model, tmp_path / "net.pth"))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = net.forward_intermediates(image, intermediates_only=True)
        found = model.backbone.body(image)
    matching = [one for one in expected if one.shape == found[2].shape]
    assert any(torch.allclose(one, found[2], atol=1e-5) for one in matching)


def test_what_fits_nowhere_is_one_sentence(tiny_recipe, tmp_path):
    torch.save({"foo": torch.zeros(3)}, tmp_path / "w.pth")
    for architecture in ("mask_rcnn", "timm:resnet10t"):
        with pytest.raises(PromergeError, match=r"another architecture|nothing in .*w\.pth fits"):
            load_weights(build(tiny_recipe, architecture), tmp_path / "w.pth")
    torch.save({"rpn.head.conv.0.0.bias": torch.full((256,), torch.nan)}, tmp_path / "w.pth")
    with pytest.raises(PromergeError, match="numbers that are not finite"):
        load_weights(build(tiny_recipe, "mask_rcnn"), tmp_path / "w.pth")
