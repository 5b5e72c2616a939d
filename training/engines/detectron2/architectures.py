"""What the engine `detectron2` can train; detectron2 is not imported."""

from __future__ import annotations

from typing import NamedTuple

from fiftyone_promerge.training.recipes import Recipe


class Architecture(NamedTuple):
    """A detector that detectron2 has.

    Attributes:
        config: detectron2's own configuration of it, in `model_zoo/configs/common/models`.
        heads: the class of its ROI heads, in the module `models`.
        mark: a parameter that only this architecture has.
    """

    config: str
    heads: str
    mark: str


ARCHITECTURES = {
    "mask_rcnn": Architecture(
        config="mask_rcnn_fpn.py",
        heads="MaskROIHeads",
        mark="roi_heads.box_predictor.cls_score.weight",
    ),
    "cascade_mask_rcnn": Architecture(
        config="cascade_rcnn.py",
        heads="CascadeMaskROIHeads",
        mark="roi_heads.box_predictor.0.cls_score.weight",
    ),
}
"""Every architecture by its name in the registry, in checkpoints and in settings."""

NORMS = {"group": "GN", "frozen": "FrozenBN"}
"""detectron2's names of the norms of a recipe that are not by the batch."""

_LEVELS = 5
_FOLLOWED = {"optimizer": "sgd", "decay": "steps", "average": None}


def unsupported(recipe: Recipe) -> list[str]:
    """The numbers of a recipe that the engine would ignore, each as its name and value."""
    found = {name: getattr(recipe, name) for name in _FOLLOWED}
    others = [f"{name} {found[name]}" for name in found if found[name] != _FOLLOWED[name]]
    levels = len(recipe.anchor_sizes)
    return others + [f"{levels} anchor_sizes instead of {_LEVELS}"] * (levels != _LEVELS)
