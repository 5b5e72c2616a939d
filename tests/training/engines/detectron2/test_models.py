"""detectron2's models: CutLER's configuration and DropLoss."""

import dataclasses
from importlib.resources import files

import numpy as np
import pytest
import torch

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from fiftyone_promerge.training.data.labelling import NO_CLASS, Labelling
from fiftyone_promerge.training.data.samples import Sample
from fiftyone_promerge.training.engines.detectron2.architectures import ARCHITECTURES
from fiftyone_promerge.training.engines.detectron2.engine import _to_inputs
from fiftyone_promerge.training.engines.detectron2.models import OutputLayers
from fiftyone_promerge.training.recipes import CUTLER

CASCADE = "cascade_mask_rcnn"


def yacs_model(architecture):
    """The detector from detectron2's other kind of configuration, with the numbers CutLER states.

    Its public configurations are of this kind, so its public checkpoints have these names.
    """
    cfg = get_cfg()
    cfg.merge_from_file(str(files("detectron2.model_zoo") / "configs" / "Base-RCNN-FPN.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.MASK_ON = True
    cfg.MODEL.PIXEL_MEAN = [123.675, 116.28, 103.53]
    cfg.MODEL.PIXEL_STD = [58.395, 57.12, 57.375]
    cfg.MODEL.RESNETS.NORM = cfg.MODEL.FPN.NORM = "BN"
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 1
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    cfg.MODEL.RPN.NMS_THRESH = 0.65
    cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN = 4000
    if architecture == CASCADE:
        cfg.MODEL.ROI_HEADS.NAME = "CascadeROIHeads"
        cfg.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG = True
    cfg.INPUT.FORMAT = "RGB"
    return build_model(cfg)


def image_with_boxes(boxes, classes=None, with_masks=True):
    """A training input of noise with rectangles as instances."""
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    masks = torch.zeros(len(boxes), 96, 128, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top:bottom, left:right] = True
    pixels = np.random.default_rng(0).integers(256, size=(3, 96, 128))
    kinds = torch.ones(len(boxes), dtype=torch.int64) if classes is None else torch.tensor(classes)
    has_mask = torch.full((len(boxes),), fill_value=with_masks)
    return _to_inputs([Sample(0, torch.from_numpy(pixels).byte(), masks, boxes, kinds, has_mask)])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_model_is_cutlers(architecture, build):
    """The same parameters, predictions and losses as from the numbers that CutLER states."""
    schedule = dataclasses.replace(CUTLER.rounds[0], droploss_iou=None)
    ours, theirs = build(architecture, schedule), yacs_model(architecture)
    assert {name: tuple(value.shape) for name, value in ours.state_dict().items()} == {
        name: tuple(value.shape) for name, value in theirs.state_dict().items()
    }
    assert all(parameter.requires_grad for parameter in ours.parameters())
    theirs.load_state_dict(ours.state_dict())
    inputs = image_with_boxes([[10, 20, 60, 70], [50, 10, 120, 90]])
    found, losses = [], []
    for model in (ours, theirs):
        with torch.no_grad():
            found.append(model.eval()([{**inputs[0], "height": 50, "width": 60}])[0]["instances"])
        torch.manual_seed(0)
        with EventStorage():
            losses.append(model.train()(inputs))
    assert len(found[0]) == len(found[1]) > 0
    assert torch.equal(found[0].pred_boxes.tensor, found[1].pred_boxes.tensor)
    assert torch.equal(found[0].scores, found[1].scores)
    assert torch.equal(found[0].pred_masks, found[1].pred_masks)
    assert len(losses[0]) == (9 if architecture == CASCADE else 5)
    assert losses[0] == losses[1]


def iou(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / (sum(areas) - shared)


def test_droploss_in_the_loss_of_a_box_head():
    """The classification loss is the direct computation; all other losses are detectron2's."""
    generator = torch.Generator().manual_seed(0)
    coder = Box2BoxTransform((10.0, 10.0, 5.0, 5.0))
    settings = {"box2box_transform": coder, "num_classes": 1, "cls_agnostic_bbox_reg": True}
    head = OutputLayers(input_shape=8, droploss_iou=0.01, **settings)
    plain = FastRCNNOutputLayers(input_shape=8, **settings)
    corners = torch.randint(0, 100, (14, 2), generator=generator).float()
    boxes = torch.cat([corners, corners + 20], dim=1)
    classes = torch.randint(0, 2, (14,), generator=generator)
    proposals = [
        Instances(
            (128, 128), proposal_boxes=Boxes(part), gt_boxes=Boxes(part + 1), gt_classes=labels
        )
        for part, labels in zip(boxes.split([8, 6]), classes.split([8, 6]), strict=True)
    ]
    head.targets = [torch.tensor([[30.0, 30, 60, 60], [80, 5, 99, 60]]), torch.zeros(0, 4)]
    scores = torch.randn(14, 2, generator=generator, requires_grad=True)
    deltas = torch.randn(14, 4, generator=generator, requires_grad=True)

    predicted = coder.apply_deltas(deltas.detach(), boxes).tolist()
    known = [
        any(iou(box, target) > 0.01 for target in head.targets[number >= 8].tolist())
        for number, box in enumerate(predicted)
    ]
    assert 0 < sum(known) < 8 and not any(known[8:])
    probabilities = scores.detach().softmax(1)
    expected = sum(
        -float(probabilities[number, classes[number]].log())
        for number in range(14)
        if known[number]
    )
    with EventStorage():
        losses = head.losses((scores, deltas), proposals)
        reference = plain.losses((scores, deltas), proposals)
    assert losses["loss_cls"].item() == pytest.approx(expected / 14, rel=1e-6)
    assert torch.equal(losses["loss_box_reg"], reference["loss_box_reg"])
    losses["loss_cls"].backward()
    assert (scores.grad.abs().sum(1) > 0).tolist() == known
    assert deltas.grad is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_droploss_sees_every_target_of_an_image(architecture, build):
    """All true boxes count, also those that no sampled proposal was matched with."""
    boxes = [[10.0, 20, 60, 70], [50, 10, 120, 90], [0, 80, 12, 96]]
    model = build(architecture, dataclasses.replace(CUTLER.rounds[0], droploss_iou=0.01))
    with EventStorage():
        losses = model.train()(image_with_boxes(boxes) * 2)
        predictors = [layer for layer in model.modules() if isinstance(layer, OutputLayers)]
        assert len(predictors) == (3 if architecture == CASCADE else 1)
        for predictor in predictors:
            assert [targets.tolist() for targets in predictor.targets] == [boxes, boxes]
        empty = model(image_with_boxes([]))
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(loss == 0 for name, loss in empty.items() if "cls" in name and "rpn" not in name)


@pytest.mark.parametrize("droploss_iou", [None, 0.01])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_has_no_class_or_no_mask_teaches_neither(architecture, droploss_iou, build):
    """The losses of the heads are those of an image in which it is not, or has no mask."""
    boxes = [[10.0, 20, 60, 70], [70, 10, 120, 90]]
    schedule = dataclasses.replace(CUTLER.rounds[0], droploss_iou=droploss_iou)
    labelling = Labelling(("a", "b", "c"))
    model = build(architecture, schedule, labelling=labelling).train()
    with EventStorage():
        known = model(image_with_boxes(boxes, [2, 3]))
        unknown = model(image_with_boxes(boxes, [NO_CLASS, NO_CLASS]))
        alone = model(image_with_boxes(boxes, [2, 3], with_masks=False))
    names = [name for name in known if name.startswith(("loss_box_reg", "loss_mask"))]
    assert all(known[name] > 0 for name in names)
    assert all(unknown[name] == 0 for name in names)
    assert alone["loss_mask"] == 0
    for losses in (known, unknown, alone):
        assert all(torch.isfinite(loss) for loss in losses.values())
    with torch.no_grad():
        (found,) = model.eval().inference(image_with_boxes(boxes), do_postprocess=False)
    assert set(found.pred_classes.tolist()) <= {0, 1, 2}
