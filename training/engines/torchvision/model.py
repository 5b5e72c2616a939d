"""Mask R-CNN of torchvision's parts and a recipe's numbers."""

from __future__ import annotations

from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign

from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.recipes import Recipe, Round
from promerge_core.backbones.base import IMAGENET_MEAN, IMAGENET_STD

from .architectures import Architecture, find_architecture
from .backbones.norms import Norm, find_norm, group_norm
from .backbones.resnets import resnet_fpn
from .backbones.timm_nets import TimmFPN
from .parts import Heads, ProposalHead, ProposalNetwork, Transform
from .sampling import SeededSampler

# Numbers that no recipe has are torchvision's defaults, which are those of the papers.
_RPN_SAMPLES = (256, 0.5)  # anchors sampled per image, and the share of positive ones (Ren 2015)
_POSITIVE_PROPOSALS = 0.25  # share of the proposals sampled for the heads (Girshick 2015)


class MaskRCNN(GeneralizedRCNN):
    """Mask R-CNN (He et al. 2017) with DropLoss, whose choices depend on the samples alone.

    In training it takes images as float tensors [3, H, W] in [0, 1], already resized, and targets
    with `boxes`, `labels` (from 1, or `NO_CLASS`), `masks` and `has_mask`, and gives the losses. In
    evaluation it takes images of any size and gives for each a dict with `masks`, a list of
    `promerge_core.Mask`, best first.

    Args:
        recipe: the numbers.
        schedule: those of the round.
        architecture: its name in the registry.
        batch_norm: the batch norm of the backbone and the FPN, if the recipe's norm is that.
        labelling: the classes.

    Raises:
        TrainingError: timm has no such backbone.
    """

    def __init__(
        self,
        recipe: Recipe,
        schedule: Round,
        architecture: str = "mask_rcnn",
        batch_norm: Norm = nn.BatchNorm2d,
        labelling: Labelling = CLASS_AGNOSTIC,
    ) -> None:
        self.samplers = (
            SeededSampler(*_RPN_SAMPLES, recipe.seed),
            SeededSampler(recipe.proposals_per_image, _POSITIVE_PROPOSALS, recipe.seed),
        )
        sizes, classes = find_architecture(architecture), 1 + len(labelling.names)
        super().__init__(
            _backbone(sizes, len(recipe.anchor_sizes), find_norm(recipe.norm, batch_norm)),
            _proposal_network(sizes, recipe, schedule, self.samplers[0]),
            _heads(sizes, recipe, schedule, self.samplers[1], classes),
            Transform(
                labelling,
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


def _backbone(sizes: Architecture, levels: int, norm: Norm) -> nn.Module:
    make = TimmFPN if sizes.by_timm else resnet_fpn
    return make(sizes.backbone, sizes.fpn_channels, levels, norm)


def _proposal_network(
    sizes: Architecture, recipe: Recipe, schedule: Round, sampler: SeededSampler
) -> RegionProposalNetwork:
    levels = recipe.anchor_sizes
    anchors = AnchorGenerator(
        tuple((side,) for side in levels), aspect_ratios=((0.5, 1.0, 2.0),) * len(levels)
    )
    network = ProposalNetwork(
        anchors,
        ProposalHead(sizes.fpn_channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=_RPN_SAMPLES[0],
        positive_fraction=_RPN_SAMPLES[1],
        pre_nms_top_n=dict(zip(("training", "testing"), recipe.rpn_pre_nms, strict=True)),
        post_nms_top_n={
            "training": schedule.rpn_train_proposals,
            "testing": recipe.rpn_test_proposals,
        },
        nms_thresh=schedule.rpn_nms,
    )
    network.fg_bg_sampler = sampler
    return network


def _heads(
    sizes: Architecture, recipe: Recipe, schedule: Round, sampler: SeededSampler, classes: int
) -> RoIHeads:
    levels = [str(level) for level in range(min(len(recipe.anchor_sizes), 4))]
    mask_norm = group_norm if recipe.norm == "group" else None
    heads = Heads(
        MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        TwoMLPHead(sizes.fpn_channels * 7**2, sizes.box_channels),
        FastRCNNPredictor(sizes.box_channels, classes),
        0.5,  # IoU with a target from which on a proposal is positive
        0.5,  # and below which it is negative
        recipe.proposals_per_image,
        _POSITIVE_PROPOSALS,
        None,  # torchvision's weights of the box regression
        0.0,  # every score is kept
        0.5,  # IoU of two detections from which on the worse is dropped
        100,  # detections per image
        MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2),
        MaskRCNNHeads(sizes.fpn_channels, sizes.mask_channels, dilation=1, norm_layer=mask_norm),
        MaskRCNNPredictor(sizes.mask_channels[-1], sizes.mask_channels[-1], classes),
        droploss_iou=schedule.droploss_iou,
    )
    heads.fg_bg_sampler = sampler
    return heads
