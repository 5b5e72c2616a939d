"""Weights of others in detectron2's models: public detectors, and DINO's ResNet-50."""

from __future__ import annotations

import re
from pathlib import Path

from torch import nn

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
)
from fiftyone_promerge.training.checkpoints.initial_weights import (
    Predictor,
    is_classifier,
    load_fitting,
    read_initial_weights,
    with_classes,
)
from fiftyone_promerge.training.checkpoints.restricted_pickle import read_weights
from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.recipes import RECIPES

from .architectures import ARCHITECTURES

PARTS = {
    "backbone": "backbone.bottom_up.",
    "FPN": "backbone.fpn_",
    "RPN": "proposal_generator.",
    "heads": "roi_heads.",
}
"""A detector's parts, and how the names of their parameters begin."""

_TORCHVISION = ("backbone.body.", "rpn.")
_PREDICTORS = (
    Predictor(".cls_score.", 1, "last"),
    Predictor(".bbox_pred.", 4, "none"),
    Predictor("mask_head.predictor.", 1, "none"),
)

# Buffers that older versions of detectron2 saved and today's compute.
_COMPUTED = re.compile(r"pixel_(mean|std)|proposal_generator\.anchor_generator\.cell_anchors\.\d+")


def import_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a detector that detectron2 saved, such as those CutLER and ProMerge+ published.

    Args:
        path: a `.pth` or `.pkl` file; nothing in it is executed.

    Returns:
        a checkpoint of the engine `detectron2`, with the recipe of CutLER.

    Raises:
        CheckpointError: the file cannot be read, or holds neither a Mask R-CNN nor a Cascade Mask
            R-CNN.
    """
    state = {name: value for name, value in read_weights(path).items() if not _COMPUTED.match(name)}
    architectures = [name for name, one in ARCHITECTURES.items() if one.mark in state]
    if not architectures:
        raise CheckpointError(
            f"{path} is of another architecture than detectron2's Mask R-CNN and Cascade Mask R-CNN"
        )
    return Checkpoint(
        engine="detectron2",
        architecture=architectures[0],
        recipe=RECIPES["cutler"].to_dict(),
        round=0,
        source={},
        versions={},
        metrics={},
        model=state,
    )


def load_weights(model: nn.Module, path: Path, labelling: Labelling = CLASS_AGNOSTIC) -> str:
    """Loads what fits a detector from a file with a backbone or with a whole detector.

    Args:
        model: the detector.
        path: a ResNet-50 in the naming of torchvision (`layer1.0.conv1.weight`), as DINO published
            it, or of detectron2 (`res2.0.conv1.weight`), as CutLER did; or a detector that this
            engine trained, or detectron2.
        labelling: the classes to learn; from a detector of one class each begins as that one.

    Returns:
        how much of each part was loaded, and what was not.

    Raises:
        PromergeError: the file cannot be read, its backbone is another one, or nothing fits.
    """
    weights = read_initial_weights(path)
    found = {name: one for name, one in weights.tensors.items() if not _COMPUTED.match(name)}
    if any(name.startswith(_TORCHVISION) for name in found):
        raise CheckpointError(
            f"{path} is a detector of torchvision, whose classes have another order; begin with it "
            f"in the engine torchvision, or give the backbone alone"
        )
    if not any(name.startswith(tuple(PARTS.values())) for name in found):
        named = {_backbone_name(name): one for name, one in found.items()}
        found = {
            PARTS["backbone"] + name: one for name, one in named.items() if not is_classifier(name)
        }
    found = with_classes(model, found, _PREDICTORS, weights.classes, labelling.names)
    return load_fitting(model, found, PARTS, path)


def _backbone_name(name: str) -> str:
    """The name in detectron2's ResNet of a parameter of torchvision's; its own names stay."""
    name = name.removeprefix("module.").removeprefix("backbone.").removeprefix("bottom_up.")
    if name.startswith(("conv1.", "bn1.")):
        name = f"stem.{name}"
    name = re.sub(r"^layer(\d)", lambda match: f"res{int(match[1]) + 1}", name)
    name = re.sub(r"\bbn(\d)\b", r"conv\1.norm", name)
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
