"""Mask R-CNN of torchvision's parts."""

from __future__ import annotations

import dataclasses

import torch
from torchvision.ops import box_iou

from fiftyone_promerge.training.data.labelling import NO_CLASS, Labelling
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN


def train_on(model, labels, has_mask):
    """The losses of one image with two boxes."""
    model.choose_by([0])
    boxes = torch.tensor([[4.0, 4, 30, 30], [34, 30, 60, 62]])
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    target = {
        "boxes": boxes,
        "masks": masks,
        "labels": torch.tensor(labels),
        "has_mask": torch.tensor(has_mask),
    }
    return model([torch.full((3, 64, 64), 0.5)], [target])


def test_a_proposal_on_what_has_no_class_is_neither_right_nor_wrong(tiny_recipe):
    torch.manual_seed(0)
    model = MaskRCNN(
        tiny_recipe, tiny_recipe.rounds[0], labelling=Labelling(("a", "b", "c"))
    ).train()
    heads, seen = model.roi_heads, []

    def select(proposals, targets):
        chosen = type(heads).select_training_samples(heads, proposals, targets)
        seen.extend(zip(*(part[0] for part in chosen), strict=True))
        return chosen

    heads.select_training_samples = select
    losses = train_on(model, [2, NO_CLASS], [True, True])
    assert all(torch.isfinite(loss) for loss in losses.values())
    kinds = {int(label) for _, _, label, _ in seen}
    assert kinds == {0, 2}
    hidden = torch.tensor([[34.0, 30, 60, 62]])
    assert max(float(box_iou(box[None], hidden)) for box, *_ in seen) < 0.5


def test_a_box_alone_has_no_mask_loss(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, proposals_per_image=64)
    model = MaskRCNN(recipe, recipe.rounds[0], labelling=Labelling(("a", "b"))).train()
    assert train_on(model, [1, 2], [False, False])["loss_mask"].item() == 0
    assert train_on(model, [1, 2], [True, False])["loss_mask"].item() > 0


def test_predictions_have_the_names_of_their_classes(tiny_recipe):
    torch.manual_seed(0)
    labelling = Labelling(("a", "b"))
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0], labelling=labelling).eval()
    image = torch.rand(3, 64, 64)
    (found,) = model([image])
    assert {mask.label for mask in found["masks"]} == {"a", "b"}
    alone = MaskRCNN(
        tiny_recipe, tiny_recipe.rounds[0], labelling=labelling._replace(has_masks=False)
    ).eval()
    alone.load_state_dict(model.state_dict())
    (boxes,) = alone([image])
    for mask, box in zip(boxes["masks"], found["boxes"].tolist(), strict=True):
        left, top, right, bottom = (round(side) for side in box)
        assert mask.area == (right - left) * (bottom - top)


def test_images_whose_masks_all_vanished_can_be_trained_on(tiny_recipe):
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0]).train()
    model.choose_by([0, 1])
    image = torch.rand(3, 64, 64)
    empty = {
        "boxes": torch.zeros(0, 4),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
        "labels": torch.zeros(0, dtype=torch.int64),
        "has_mask": torch.ones(0, dtype=torch.bool),
    }
    losses = model([image, image], [empty, empty])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert losses["loss_mask"].item() == losses["loss_classifier"].item() == 0
