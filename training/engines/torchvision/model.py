"""Mask R-CNN with a ResNet-50 FPN, class-agnostic, of torchvision's parts and CutLER's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import (
    RoIHeads,
    fastrcnn_loss,
    maskrcnn_loss,
    paste_masks_in_image,
)
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import MultiScaleRoIAlign

from fiftyone_promerge.training.engines.droploss import droploss_weights
from fiftyone_promerge.training.recipes import Recipe, Round
from promerge_core.backbones.base import IMAGENET_MEAN, IMAGENET_STD
from promerge_core.masks.mask import masks_from_arrays

_FPN_CHANNELS = 256
_CLASSES = 2  # background and object
_OBJECT = 1
_MAX_PASTED_PIXELS = 2**26


class MaskRCNN(GeneralizedRCNN):
    """Mask R-CNN (He et al. 2017) with DropLoss, whose choices depend on the samples alone.

    In training it takes images as float tensors [3, H, W] in [0, 1], already resized, and targets
    with `boxes`, `labels` and `masks`, and gives the losses. In evaluation it takes images of any
    size and gives for each a dict with `masks`, a list of `promerge_core.Mask`, best first.

    Args:
        recipe: the numbers.
        schedule: those of the round.
        norm: makes the normalisation of a number of channels, in the ResNet and the FPN.
    """

    def __init__(
        self,
        recipe: Recipe,
        schedule: Round,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        self.samplers = (
            SeededSampler(256, 0.5, recipe.seed),
            SeededSampler(recipe.proposals_per_image, 0.25, recipe.seed),
        )
        super().__init__(
            _backbone(norm),
            _proposal_network(recipe, schedule, self.samplers[0]),
            _heads(recipe, schedule, self.samplers[1]),
            _Transform(
                recipe.test_short_side,
                recipe.long_side,
                list(IMAGENET_MEAN),
                list(IMAGENET_STD),
                _skip_resize=True,
            ),
        )

    def choose_by(self, numbers: list[int]) -> None:
        """Sets the numbers of the next batch's samples, by which proposals are sampled."""
        for sampler in self.samplers:
            sampler.numbers = numbers


BUILDERS = {"mask_rcnn": MaskRCNN}
"""The architectures by name: what builds each from a recipe, a round of it and a norm."""


class SeededSampler:
    """Samples positive and negative proposals, always the same ones for the same sample.

    It stands for torchvision's `BalancedPositiveNegativeSampler`, which takes them from the global
    random numbers: there a resumed run, or one on more devices, would sample others.

    Args:
        size: proposals to sample of an image.
        positive_fraction: at most this share of them is positive.
        seed: of the recipe.

    Attributes:
        numbers: the number of each sample of the batch.
        count: proposals that were last sampled, of all images together.
    """

    def __init__(self, size: int, positive_fraction: float, seed: int) -> None:
        self._size = size
        self._max_positive = int(size * positive_fraction)
        self._seed = seed
        self.numbers: list[int] = []
        self.count = 0

    def __call__(self, labels: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Samples from the labels of each image: >= 1 is positive, 0 negative, -1 neither.

        Returns:
            for each image which elements are sampled as positive, and which as negative; uint8.
        """
        self.count = 0
        chosen: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for number, image in zip(self.numbers, labels, strict=True):
            seed = int(np.random.SeedSequence((self._seed, 2, number)).generate_state(1)[0])
            generator = torch.Generator(image.device).manual_seed(seed)
            positive = _choose(image >= 1, self._max_positive, generator)
            taken = int(positive.sum())
            negative = _choose(image == 0, self._size - taken, generator)
            self.count += taken + int(negative.sum())
            chosen[0].append(positive)
            chosen[1].append(negative)
        return chosen


def _choose(candidates: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """At most so many of the candidates, as a uint8 mask of their shape."""
    places = candidates.nonzero()[:, 0]
    order = torch.randperm(len(places), generator=generator, device=places.device)
    chosen = torch.zeros_like(candidates, dtype=torch.uint8)
    chosen[places[order[:count]]] = 1
    return chosen


def process_share(count: int, device: torch.device) -> torch.Tensor | float:
    """Weight of this process's mean over `count` elements in the mean over all processes.

    Gradients are averaged over the processes as if each had equally many elements. With this
    factor their average is that of one process with all the images.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 1.0
    total = torch.tensor(float(count), device=device)
    dist.all_reduce(total)
    return count * dist.get_world_size() / total.clamp(min=1)


def _single(values: torch.Tensor) -> torch.Tensor:
    """Half precision in single; single and double stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class _ProposalHead(RPNHead):
    """The RPN's head in single precision: in half, a box is only exact to a pixel."""

    def forward(self, x: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        logits, deltas = super().forward(x)
        return [_single(one) for one in logits], [_single(one) for one in deltas]


class _ProposalNetwork(RegionProposalNetwork):
    """The RPN with its losses averaged over the proposals of all processes."""

    def compute_loss(self, objectness: torch.Tensor, *args: object) -> tuple[torch.Tensor, ...]:
        losses = super().compute_loss(objectness, *args)
        share = process_share(self.fg_bg_sampler.count, objectness.device)
        return tuple(loss * share for loss in losses)


class _Heads(RoIHeads):
    """The heads with DropLoss.

    Args:
        droploss_iou: see `Round.droploss_iou`.
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
        """See torchvision's `RoIHeads.forward`; only the losses are our own."""
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
            logits,
            boxes,
            [target["masks"] for target in targets],
            [target["labels"] for target in targets],
            matches,
        )
        return loss * process_share(len(logits), logits.device)


class _Transform(GeneralizedRCNNTransform):
    """torchvision's transform, giving masks as RLE: those of large photos do not fit in memory."""

    def postprocess(
        self,
        result: list[dict[str, Any]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Any]]:
        if self.training:
            return result
        for found, shape, size in zip(result, image_shapes, original_image_sizes, strict=True):
            boxes = resize_boxes(found["boxes"], shape, size)
            scores = found["scores"].tolist()
            masks = []
            step = max(_MAX_PASTED_PIXELS // (size[0] * size[1]), 1)
            for start in range(0, len(boxes), step):
                part = slice(start, start + step)
                pasted = paste_masks_in_image(found["masks"][part], boxes[part], size) > 0.5
                facts: list[dict[str, float]] = [{}] * len(pasted)
                masks += masks_from_arrays(pasted[:, 0].cpu().numpy(), scores[part], facts)
            found["masks"] = masks
        return result


def _backbone(norm: Callable[[int], nn.Module]) -> BackboneWithFPN:
    layers = {f"layer{number}": str(number - 1) for number in range(1, 5)}
    return BackboneWithFPN(
        resnet50(weights=None, norm_layer=norm),
        layers,
        [256, 512, 1024, 2048],
        _FPN_CHANNELS,
        norm_layer=norm,
    )


def _proposal_network(
    recipe: Recipe, schedule: Round, sampler: SeededSampler
) -> RegionProposalNetwork:
    anchors = AnchorGenerator(
        ((32,), (64,), (128,), (256,), (512,)), aspect_ratios=((0.5, 1.0, 2.0),) * 5
    )
    network = _ProposalNetwork(
        anchors,
        _ProposalHead(_FPN_CHANNELS, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(("training", "testing"), recipe.rpn_pre_nms, strict=True)),
        post_nms_top_n={
            "training": schedule.rpn_train_proposals,
            "testing": recipe.rpn_test_proposals,
        },
        nms_thresh=schedule.rpn_nms,
    )
    network.fg_bg_sampler = sampler
    return network


def _heads(recipe: Recipe, schedule: Round, sampler: SeededSampler) -> RoIHeads:
    levels = ["0", "1", "2", "3"]
    heads = _Heads(
        MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        TwoMLPHead(_FPN_CHANNELS * 7**2, 1024),
        FastRCNNPredictor(1024, _CLASSES),
        0.5,  # IoU with a target from which on a proposal is positive
        0.5,  # and below which it is negative
        recipe.proposals_per_image,
        0.25,
        None,  # torchvision's weights of the box regression
        0.0,  # every score is kept
        0.5,  # IoU of two detections from which on the worse is dropped
        100,  # detections an image
        MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2),
        MaskRCNNHeads(_FPN_CHANNELS, (256,) * 4, dilation=1),
        MaskRCNNPredictor(256, 256, _CLASSES),
        droploss_iou=schedule.droploss_iou,
    )
    heads.fg_bg_sampler = sampler
    return heads
