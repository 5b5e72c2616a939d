"""DropLoss: what pseudo-labels may have missed is not punished (CutLER, section 3.3)."""

from __future__ import annotations

import torch
from torchvision.ops import box_iou


def droploss_weights(predicted: torch.Tensor, targets: torch.Tensor, iou: float) -> torch.Tensor:
    """Weights of proposals in the classification loss of one image.

    A predicted box that overlaps no target may be an object that the pseudo-labels do not know;
    whatever class its proposal was given, its loss is dropped. The mean is still taken over all
    proposals, dropped ones included.

    Args:
        predicted: boxes that were predicted from the proposals, xyxy in pixels, [N, 4].
        targets: boxes of the pseudo-labels, xyxy in pixels, [M, 4].
        iou: a box is dropped when its IoU with every target is at most this.

    Returns:
        0 or 1 for each proposal, float tensor [N] on their device.
    """
    if len(targets) == 0:
        return predicted.new_zeros(len(predicted))
    return (box_iou(predicted, targets).amax(1) > iou).to(predicted.dtype)
