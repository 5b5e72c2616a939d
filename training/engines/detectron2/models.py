"""Mask R-CNN and Cascade Mask R-CNN of detectron2, as CutLER configures them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import LazyConfig
from detectron2.modeling.roi_heads import (
    CascadeROIHeads,
    FastRCNNOutputLayers,
    ROIHeads,
    StandardROIHeads,
)
from detectron2.structures import Instances
from omegaconf import DictConfig

from fiftyone_promerge.training.data.labelling import CLASS_AGNOSTIC, Labelling
from fiftyone_promerge.training.engines.droploss import droploss_weights
from fiftyone_promerge.training.recipes import Recipe, Round
from promerge_core.backbones.base import IMAGENET_MEAN, IMAGENET_STD

from .architectures import ARCHITECTURES, NORMS


def model_config(
    architecture: str,
    recipe: Recipe,
    schedule: Round,
    batch_norm: str = "BN",
    labelling: Labelling = CLASS_AGNOSTIC,
) -> DictConfig:
    """The LazyConfig of a detector, to be changed or instantiated (CutLER, section 4).

    detectron2's own ResNet-50 FPN with RGB input, torchvision's ResNet (its stride in
    the 3 x 3 convolution, as DINO trained it), every layer trained.

    Args:
        architecture: a name of `ARCHITECTURES`.
        recipe: the numbers of all rounds.
        schedule: those of one round.
        batch_norm: that of the backbone and the FPN, if the recipe's norm is that: `BN` on one
            device, `SyncBN` on several.
        labelling: the classes.

    Returns:
        the configuration; `detectron2.config.instantiate` makes the model of it.
    """
    package = files("detectron2.model_zoo")
    source = package.joinpath("configs", "common", "models", ARCHITECTURES[architecture].config)
    model = LazyConfig.load(str(source)).model
    model.input_format = "RGB"
    model.pixel_mean = [255 * mean for mean in IMAGENET_MEAN]
    model.pixel_std = [255 * std for std in IMAGENET_STD]
    norm = batch_norm if recipe.norm == "batch" else NORMS[recipe.norm]
    model.backbone.norm = norm
    model.backbone.bottom_up.stem.norm = norm
    model.backbone.bottom_up.stages.norm = norm
    model.backbone.bottom_up.stages.stride_in_1x1 = False
    network = model.proposal_generator
    network.anchor_generator.sizes = [[side] for side in recipe.anchor_sizes]
    network.nms_thresh = schedule.rpn_nms
    network.pre_nms_topk = recipe.rpn_pre_nms
    network.post_nms_topk = (schedule.rpn_train_proposals, recipe.rpn_test_proposals)
    heads = model.roi_heads
    heads.num_classes = len(labelling.names)
    heads.batch_size_per_image = recipe.proposals_per_image
    predictors = heads.box_predictors if "box_predictors" in heads else [heads.box_predictor]
    for predictor in predictors:
        predictor.test_score_thresh = 0.0
    heads._target_ = f"{__name__}.{ARCHITECTURES[architecture].heads}"
    for predictor in predictors:
        predictor._target_ = OutputLayers
        predictor.droploss_iou = schedule.droploss_iou
    return model


class OutputLayers(FastRCNNOutputLayers):
    """A box predictor with DropLoss, for which what has no class is neither right nor wrong.

    Args:
        droploss_iou: a proposal whose predicted box overlaps no target by more has weight 0 in the
            mean over all proposals; None switches DropLoss off.

    Attributes:
        targets: boxes of each image of the batch, xyxy; the ROI heads set them.
    """

    targets: list[torch.Tensor]

    def __init__(self, *, droploss_iou: float | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.droploss_iou = droploss_iou

    def losses(
        self, predictions: tuple[torch.Tensor, torch.Tensor], proposals: list[Instances]
    ) -> dict[str, torch.Tensor]:
        """See `FastRCNNOutputLayers.losses`; the classification is weighted by DropLoss."""
        # A cascade's later stages match proposals to targets without sampling them.
        has_class = [image.gt_classes >= 0 for image in proposals]
        chosen = torch.cat(has_class)
        predictions = (predictions[0][chosen], predictions[1][chosen])
        proposals = [image[one] for image, one in zip(proposals, has_class, strict=True)]
        losses = super().losses(predictions, proposals)
        if len(predictions[0]) == 0 or self.droploss_iou is None:
            return losses
        with torch.no_grad():
            boxes = self._best_boxes(predictions, proposals)
            weights = torch.cat(
                [
                    droploss_weights(predicted, targets, self.droploss_iou)
                    for predicted, targets in zip(boxes, self.targets, strict=True)
                ]
            )
        classes = torch.cat([image.gt_classes for image in proposals])
        loss = F.cross_entropy(predictions[0], classes, reduction="none")
        return losses | {"loss_cls": (weights * loss).mean()}

    def _best_boxes(
        self, predictions: tuple[torch.Tensor, torch.Tensor], proposals: list[Instances]
    ) -> tuple[torch.Tensor, ...]:
        """For each proposal the box of the class that it most looks like, by image."""
        boxes = torch.cat(self.predict_boxes(predictions, proposals)).reshape(
            len(predictions[0]), -1, 4
        )
        best = predictions[0][:, :-1].argmax(1).clamp(max=boxes.shape[1] - 1)
        chosen = boxes[torch.arange(len(best), device=best.device), best]
        return chosen.split([len(image) for image in proposals])


class _PassesTargets(ROIHeads):
    """ROI heads that hand the images' boxes to their predictors, and learn masks of masks alone."""

    def forward(
        self,
        images: Any,
        features: dict[str, torch.Tensor],
        proposals: list[Instances],
        targets: list[Instances] | None = None,
    ) -> Any:
        for predictor in self.box_predictor.modules():
            if isinstance(predictor, OutputLayers):
                predictor.targets = [image.gt_boxes.tensor for image in targets or ()]
        return super().forward(images, features, proposals, targets)

    def _forward_mask(self, features: dict[str, torch.Tensor], instances: list[Instances]) -> Any:
        if self.training:
            instances = [
                # Of an image without targets, proposals have no such field.
                image[image.gt_has_mask] if image.has("gt_has_mask") else image
                for image in instances
            ]
        return super()._forward_mask(features, instances)


class MaskROIHeads(_PassesTargets, StandardROIHeads):
    """The ROI heads of Mask R-CNN with our losses."""


class CascadeMaskROIHeads(_PassesTargets, CascadeROIHeads):
    """The ROI heads of Cascade Mask R-CNN with our losses in every stage."""
