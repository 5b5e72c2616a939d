"""ConvNets of timm under an FPN, with the recipe's norm."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from fiftyone_promerge.training.engines.base import TrainingError
from fiftyone_promerge.training.engines.torchvision.backbones.norms import find_norm
from fiftyone_promerge.training.engines.torchvision.backbones.timm_nets import (
    Activated,
    TimmFPN,
    check_timm_net,
    replace_batch_norms,
    timm_name,
)

NETS = ["resnet10t", "mobilenetv3_small_050", "convnext_atto"]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("levels", [3, 5])
def test_features_have_the_strides_of_the_levels(name, levels):
    backbone = TimmFPN(name, 16, levels, nn.BatchNorm2d)
    features = backbone(torch.zeros(2, 3, 128, 64))
    assert [tuple(one.shape) for one in features.values()] == [
        (2, 16, 32 // 2**level, 16 // 2**level) for level in range(levels)
    ]
    sum(one.sum() for one in features.values()).backward()
    # Several processes wait for the gradients of all parameters.
    trained = [one for one in backbone.parameters() if one.requires_grad]
    assert all(one.grad is not None for one in trained)


@pytest.mark.parametrize("name", NETS)
def test_with_batch_norm_it_computes_what_timms_own_does(name):
    """Its parts that normalise and activate at once come apart, its own LayerNorms stay."""
    torch.manual_seed(0)
    theirs = timm.create_model(name, features_only=True)
    torch.manual_seed(0)
    ours = timm.create_model(name, features_only=True)
    replace_batch_norms(ours, nn.BatchNorm2d)
    images = torch.randn(2, 3, 64, 64)
    for one, two in zip(theirs.train()(images), ours.train()(images), strict=True):
        assert torch.equal(one, two)
    for one, two in zip(theirs.eval()(images), ours.eval()(images), strict=True):
        assert torch.equal(one, two)
    assert [timm_name(n) for n in ours.state_dict()] == [
        n.replace(".", "_") for n in theirs.state_dict()
    ]


@pytest.mark.parametrize(("norm", "kind"), [("group", nn.GroupNorm), ("frozen", FrozenBatchNorm2d)])
def test_other_norms_stand_in_for_batch_norms(norm, kind):
    net = timm.create_model("mobilenetv3_small_050", features_only=True)
    replaced = sum(isinstance(one, nn.BatchNorm2d) for one in net.modules())
    replace_batch_norms(net, find_norm(norm))
    assert not any(isinstance(one, nn.BatchNorm2d) for one in net.modules())
    assert sum(isinstance(one, kind) for one in net.modules()) == replaced
    assert any(isinstance(one, Activated) for one in net.modules())
    assert net(torch.zeros(1, 3, 64, 64))[-1].isfinite().all()


def test_an_unknown_model_names_those_that_are_alike():
    with pytest.raises(TrainingError, match=r"timm has no model 'resnet19'; did you mean .*resnet"):
        check_timm_net("resnet19")
    with pytest.raises(TrainingError, match=r"'q'; see timm\.list_models\(\)"):
        check_timm_net("q")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_model_without_such_features_is_one_sentence(name):
    with pytest.raises(TrainingError, match=f"timm:{name} cannot be a detector's backbone") as got:
        check_timm_net(name)
    assert "\n" not in str(got.value)


def test_a_model_with_features_passes():
    check_timm_net("resnet18")
