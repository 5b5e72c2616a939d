"""torchvision's parts of a Mask R-CNN, with the losses and the results of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import (
    RoIHeads,
    fastrcnn_loss,
    maskrcnn_loss,
    paste_masks_in_image,
)
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

from fiftyone_promerge.training.engines.droploss import droploss_weights
from fiftyone_promerge.training.engines.pasting import paste_in_parts
from promerge_core import Mask

_OBJECT = 1  # the class; 0 is the background


def process_share(count: int, device: torch.device) -> torch.Tensor | float:
    """Weight of this process's mean over `count` elements in the mean over all processes.

    Gradients are averaged over the processes as if each had equally many elements. With this
    factor their average is that of one process with all the images.

    Args:
        count: elements of this process, 0 or more.
        device: where the processes exchange their counts.

    Returns:
        a factor of 0 or more, as a float tensor [] on the device; 1.0 in a process alone.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 1.0
    total = torch.tensor(float(count), device=device)
    dist.all_reduce(total)
    return count * dist.get_world_size() / total.clamp(min=1)


def _single(values: torch.Tensor) -> torch.Tensor:
    """Half precision in single; single and double stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class ProposalHead(RPNHead):
    """The RPN's head in single precision: in half, a box is only exact to a pixel."""

    def forward(self, x: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """See `RPNHead.forward` of torchvision; its results are in single precision."""
        logits, deltas = super().forward(x)
        return [_single(one) for one in logits], [_single(one) for one in deltas]


class ProposalNetwork(RegionProposalNetwork):
    """The RPN with its losses averaged over the proposals of all processes."""

    def compute_loss(self, objectness: torch.Tensor, *args: object) -> tuple[torch.Tensor, ...]:
        """See `RegionProposalNetwork.compute_loss` of torchvision."""
        losses = super().compute_loss(objectness, *args)
        share = process_share(self.fg_bg_sampler.count, objectness.device)
        return tuple(loss * share for loss in losses)


class Heads(RoIHeads):
    """The heads with DropLoss.

    Args:
        args: see torchvision's `RoIHeads`.
        droploss_iou: a proposal whose predicted box has at most this IoU with every true box has
            weight 0 in the mean of the classification loss; None switches DropLoss off.
    """

    def __init__(self, *args: object, droploss_iou: float | None) -> None:
        super().__init__(*args)
        self._droploss_iou = droploss_iou

    def forward(
        self,
        features: dict[str, torch.Tensor],
        proposals: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, torch.Tensor]] | None = None,
    ) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """See `RoIHeads.forward` of torchvision; only the losses are our own."""
        if not self.training or targets is None:
            return super().forward(features, proposals, image_shapes)
        chosen, matched, labels, regression = self.select_training_samples(proposals, targets)
        boxes = self.box_head(self.box_roi_pool(features, chosen, image_shapes))
        logits, deltas = (_single(output) for output in self.box_predictor(boxes))
        _, box_loss = fastrcnn_loss(logits, deltas, labels, regression)
        class_loss = self._class_loss(logits, deltas, chosen, labels, targets)
        share = process_share(len(logits), logits.device)
        return [], {
            "loss_classifier": class_loss * share,
            "loss_box_reg": box_loss * share,
            "loss_mask": self._mask_loss(features, chosen, image_shapes, matched, labels, targets),
        }

    def _class_loss(
        self,
        logits: torch.Tensor,
        deltas: torch.Tensor,
        proposals: list[torch.Tensor],
        labels: list[torch.Tensor],
        targets: list[dict[str, torch.Tensor]],
    ) -> torch.Tensor:
        losses = F.cross_entropy(logits, torch.cat(labels), reduction="none")
        if self._droploss_iou is None:
            return losses.mean()
        with torch.no_grad():
            predicted = self.box_coder.decode(deltas, proposals)[:, _OBJECT]
            weights = [
                droploss_weights(boxes, target["boxes"], self._droploss_iou)
                for boxes, target in zip(
                    predicted.split([len(boxes) for boxes in proposals]), targets, strict=True
                )
            ]
        return (losses * torch.cat(weights)).mean()

    def _mask_loss(
        self,
        features: dict[str, torch.Tensor],
        proposals: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],
        matched: list[torch.Tensor],
        labels: list[torch.Tensor],
        targets: list[dict[str, torch.Tensor]],
    ) -> torch.Tensor:
        positive = [(image > 0).nonzero()[:, 0] for image in labels]
        boxes = [image[chosen] for image, chosen in zip(proposals, positive, strict=True)]
        matches = [image[chosen] for image, chosen in zip(matched, positive, strict=True)]
        logits = self.mask_predictor(
            self.mask_head(self.mask_roi_pool(features, boxes, image_shapes))
        )
        loss = maskrcnn_loss(
            _single(logits),
            boxes,
            [target["masks"] for target in targets],
            [target["labels"] for target in targets],
            matches,
        )
        return loss * process_share(len(logits), logits.device)


class Transform(GeneralizedRCNNTransform):
    """torchvision's transform, giving masks as RLE: those of large photos do not fit in memory."""

    def postprocess(
        self,
        result: list[dict[str, Any]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Any]]:
        """See `GeneralizedRCNNTransform.postprocess`; `masks` becomes a list of `Mask`."""
        if self.training:
            return result
        for found, shape, size in zip(result, image_shapes, original_image_sizes, strict=True):
            boxes = resize_boxes(found["boxes"], shape, size)
            found["masks"] = _pasted(found["masks"], boxes, found["scores"].tolist(), size)
        return result


def _pasted(
    masks: torch.Tensor, boxes: torch.Tensor, scores: list[float], size: tuple[int, int]
) -> list[Mask]:
    def paste(part: slice) -> tuple[np.ndarray, list[float]]:
        pasted = paste_masks_in_image(masks[part], boxes[part], size) > 0.5
        return pasted[:, 0].cpu().numpy(), scores[part]

    return paste_in_parts(len(boxes), size, paste)
