"""Weights of others in detectron2's models: public detectors, and DINO's ResNet-50."""

from __future__ import annotations

import re
from pathlib import Path

from torch import nn

from fiftyone_promerge.training.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_state,
)
from fiftyone_promerge.training.checkpoints.restricted_pickle import read_weights
from fiftyone_promerge.training.recipes import RECIPES

from .architectures import ARCHITECTURES

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


def load_backbone(resnet: nn.Module, path: str | Path) -> None:
    """Loads DINO's ResNet-50 into a detector's `backbone.bottom_up`.

    Args:
        resnet: detectron2's ResNet.
        path: a `.pth` or `.pkl` file in the naming of torchvision (`layer1.0.conv1.weight`), as
            DINO published it, or of detectron2 (`res2.0.conv1.weight`), as CutLER did; a
            classifier in it is left out.

    Raises:
        CheckpointError: the file cannot be read, or is no ResNet-50.
    """
    state = {_backbone_name(name): value for name, value in read_weights(path).items()}
    expected = resnet.state_dict()
    # Converted files lack the numbers of batches seen, which momentum statistics do not use.
    counters = {name: value for name, value in expected.items() if name.endswith("_tracked")}
    state = {name: value for name, value in state.items() if "fc" not in name.split(".")}
    load_state(resnet, counters | state, f"the initial weights {path}")


def _backbone_name(name: str) -> str:
    """The name in detectron2's ResNet of a parameter of torchvision's; its own names stay."""
    name = name.removeprefix("module.").removeprefix("backbone.").removeprefix("bottom_up.")
    if name.startswith(("conv1.", "bn1.")):
        name = f"stem.{name}"
    name = re.sub(r"^layer(\d)", lambda match: f"res{int(match[1]) + 1}", name)
    name = re.sub(r"\bbn(\d)\b", r"conv\1.norm", name)
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
