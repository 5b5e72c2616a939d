"""Weights of others under the names that they have in our Mask R-CNN of torchvision's parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from fiftyone_promerge.training.checkpoints.initial_weights import (
    Predictor,
    is_classifier,
    load_fitting,
    read_initial_weights,
    with_classes,
)
from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling

from .backbones.timm_nets import TimmFPN, timm_name
from .model import MaskRCNN

PARTS = {"backbone": "backbone.body.", "FPN": "backbone.fpn.", "RPN": "rpn.", "heads": "roi_heads."}
"""A detector's parts, and how the names of their parameters begin."""

_PREDICTORS = (
    Predictor("box_predictor.cls_score.", 1, "first"),
    Predictor("box_predictor.bbox_pred.", 4, "first"),
    Predictor("mask_predictor.mask_fcn_logits.", 1, "first"),
)
_BOTTOM_UP = "backbone.bottom_up."  # what detectron2 calls a backbone without its FPN
_DETECTRON2 = (_BOTTOM_UP, "proposal_generator.")

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]

# Names of detectron2, and of torchvision's older versions, and how ours are made of them.
_NAMES: Rules = (
    (r"^bottom_up\.", "backbone.bottom_up."),
    (r"^(body|fpn)\.", r"backbone.\1."),
    (r"^backbone\.fpn_lateral(\d)\.norm\.", r"backbone.fpn.inner_blocks.\1-2.1."),
    (r"^backbone\.fpn_lateral(\d)\.", r"backbone.fpn.inner_blocks.\1-2.0."),
    (r"^backbone\.fpn_output(\d)\.norm\.", r"backbone.fpn.layer_blocks.\1-2.1."),
    (r"^backbone\.fpn_output(\d)\.", r"backbone.fpn.layer_blocks.\1-2.0."),
    (r"^(backbone\.fpn\.\w+_blocks\.\d)\.(weight|bias)$", r"\1.0.\2"),
    (r"^proposal_generator\.rpn_head\.objectness_logits\.", "rpn.head.cls_logits."),
    (r"^proposal_generator\.rpn_head\.anchor_deltas\.", "rpn.head.bbox_pred."),
    (r"^proposal_generator\.rpn_head\.", "rpn.head."),
    (r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1"),
    # Of a cascade the first stage is taken, which is trained as Mask R-CNN's only one.
    (r"^roi_heads\.box_(head|predictor)\.0\.", r"roi_heads.box_\1."),
    (r"^roi_heads\.box_head\.fc1\.", "roi_heads.box_head.fc6."),
    (r"^roi_heads\.box_head\.fc2\.", "roi_heads.box_head.fc7."),
    (r"^roi_heads\.mask_head\.mask_fcn(\d)\.norm\.", r"roi_heads.mask_head.\1-1.1."),
    (r"^roi_heads\.mask_head\.mask_fcn(\d)\.", r"roi_heads.mask_head.\1-1.0."),
    (r"^roi_heads\.mask_head\.deconv\.", "roi_heads.mask_predictor.conv5_mask."),
    (r"^roi_heads\.mask_head\.predictor\.", "roi_heads.mask_predictor.mask_fcn_logits."),
    (r"(\d)-(\d)", lambda match: str(int(match[1]) - int(match[2]))),
)

# Those of detectron2's ResNet, and how torchvision's are made of them.
_RESNET_NAMES: Rules = (
    (r"^stem\.", ""),
    (r"^res(\d)\.", lambda match: f"layer{int(match[1]) - 1}."),
    (r"\bconv(\d)\.norm\.", r"bn\1."),
    (r"\bshortcut\.norm\.", "downsample.1."),
    (r"\bshortcut\.", "downsample.0."),
)


def load_weights(model: MaskRCNN, path: Path, labelling: Labelling = CLASS_AGNOSTIC) -> str:
    """Loads what fits a detector from a file with a backbone or with a whole detector.

    Args:
        model: the detector.
        path: a ResNet of DINO, torchvision, timm or detectron2, a state dict of the model's
            ConvNet in timm, a detector of `promerge train` or of detectron2, such as CutLER's, or
            a Mask R-CNN of torchvision.
        labelling: the classes to learn; from a detector of one class each begins as that one.

    Returns:
        how much of each part was loaded, and what was not.

    Raises:
        PromergeError: the file cannot be read, its backbone is another one, or nothing fits.
    """
    found = read_initial_weights(path)
    tensors = translate(model, found.tensors)
    tensors = with_classes(model, tensors, _PREDICTORS, found.classes, labelling.names)
    return load_fitting(model, tensors, PARTS, path)


def translate(model: MaskRCNN, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Renames the tensors of a file; those of a detectron2 predictor also get torchvision's form.

    Args:
        model: the detector that they are for.
        found: the tensors of a backbone or of a detector.

    Returns:
        the tensors by the names that they have in our model; names that it does not have stay.
    """
    if any(name.startswith(_DETECTRON2) for name in found):
        found = {name: _with_background(name, tensor) for name, tensor in found.items()}
    renamed = {_rename(name, _NAMES): tensor for name, tensor in found.items()}
    if not any(name.startswith((*PARTS.values(), _BOTTOM_UP)) for name in renamed):
        renamed = {
            PARTS["backbone"] + name.removeprefix("backbone."): one for name, one in found.items()
        }
    name_in = _names_in(model.backbone)
    known = {name_in(name): tensor for name, tensor in renamed.items()}
    return {name: tensor for name, tensor in known.items() if name}


def _with_background(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A predictor of one class of detectron2 in torchvision's form.

    detectron2 has the background as the last class, and no box or mask of it; torchvision has it
    as the first one, with a box and a mask that are never used.
    """
    if "cls_score" in name and len(tensor) == 2:
        return tensor.flip(0)
    has_one_class = ("bbox_pred" in name and len(tensor) == 4) or (
        "mask_head.predictor" in name and len(tensor) == 1
    )
    return torch.cat([torch.zeros_like(tensor), tensor]) if has_one_class else tensor


def _names_in(backbone: nn.Module) -> Callable[[str], str]:
    """What gives our model's name of a parameter; an empty one for a classifier's."""
    start = PARTS["backbone"]
    ours: dict[str, str] = {}
    if isinstance(backbone, TimmFPN):
        ours = {timm_name(name): start + name for name in backbone.body.state_dict()}

    def name_in(name: str) -> str:
        short = name.removeprefix(_BOTTOM_UP).removeprefix(start)
        if short == name:
            return name
        if ours:
            return ours.get(timm_name(short), "")
        return "" if is_classifier(short) else start + _rename(short, _RESNET_NAMES)

    return name_in


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
