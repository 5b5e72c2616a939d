"""The architectures of the engine `detectron2`, one entry each; detectron2 is not imported."""

from __future__ import annotations

from typing import NamedTuple


class Architecture(NamedTuple):
    """A detector that detectron2 has.

    Attributes:
        config: detectron2's own configuration of it, in `model_zoo/configs/common/models`.
        droploss_heads: the class of its ROI heads with DropLoss, in the module `models`.
        mark: a parameter that only this architecture has.
    """

    config: str
    droploss_heads: str
    mark: str


ARCHITECTURES = {
    "mask_rcnn": Architecture(
        config="mask_rcnn_fpn.py",
        droploss_heads="DropLossROIHeads",
        mark="roi_heads.box_predictor.cls_score.weight",
    ),
    "cascade_mask_rcnn": Architecture(
        config="cascade_rcnn.py",
        droploss_heads="DropLossCascadeROIHeads",
        mark="roi_heads.box_predictor.0.cls_score.weight",
    ),
}
"""Every architecture by its name in the registry, in checkpoints and in settings."""
