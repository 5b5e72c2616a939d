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

from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.engines.droploss import droploss_weights
from fiftyone_promerge.training.engines.pasting import boxes_as_masks, paste_in_parts
from promerge_core import Mask

_BACKGROUND = 0  # the class before all others


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
            # The box of the class that it most looks like.
            best = logits[:, _BACKGROUND + 1 :].argmax(1) + _BACKGROUND + 1
            boxes = self.box_coder.decode(deltas, proposals)
            predicted = boxes[torch.arange(len(best), device=best.device), best]
            weights = [
                droploss_weights(image, target["boxes"], self._droploss_iou)
                for image, target in zip(
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
        positive = [(image > _BACKGROUND).nonzero()[:, 0] for image in labels]
        positive = [
            image[target["has_mask"][match[image]]]
            for image, match, target in zip(positive, matched, targets, strict=True)
        ]
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
    """torchvision's transform, giving masks as RLE: those of large photos do not fit in memory.

    Args:
        labelling: the classes; without masks an object is all pixels of its box.
        args: see torchvision's `GeneralizedRCNNTransform`.
    """

    def __init__(self, labelling: Labelling, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._labelling = labelling

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
            scores = found["scores"].tolist()
            labels = [self._labelling.names[number - 1] for number in found["labels"].tolist()]
            if self._labelling.has_masks:
                found["masks"] = _pasted(found["masks"], boxes, scores, size, labels)
            else:
                found["masks"] = boxes_as_masks(boxes.tolist(), scores, size, labels)
        return result


def _pasted(
    masks: torch.Tensor,
    boxes: torch.Tensor,
    scores: list[float],
    size: tuple[int, int],
    labels: list[str],
) -> list[Mask]:
    def paste(part: slice) -> tuple[np.ndarray, list[float], list[str]]:
        pasted = paste_masks_in_image(masks[part], boxes[part], size) > 0.5
        return pasted[:, 0].cpu().numpy(), scores[part], labels[part]

    return paste_in_parts(len(boxes), size, paste)
