"""What a model of detectron2 finds, as masks with names."""

import numpy as np
import pytest
import torch

pytest.importorskip(
    "detectron2",
    reason="detectron2 is not installed: pip install "
    "'git+https://github.com/facebookresearch/detectron2' --no-build-isolation",
)

from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.engines.detectron2.detector import Detectron2Detector
from fiftyone_promerge.training.recipes import SMOKE


def test_masks_have_the_names_of_their_classes_and_without_masks_are_boxes(build):
    labelling = Labelling(("cat", "mug"))
    model = build("mask_rcnn", labelling=labelling).eval()
    photo = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    cpu = torch.device("cpu")
    (masks,) = Detectron2Detector(model, SMOKE, labelling, cpu).predict([photo])
    assert masks and {mask.label for mask in masks} <= {"cat", "mug"}
    alone = labelling._replace(has_masks=False)
    (boxes,) = Detectron2Detector(model, SMOKE, alone, cpu).predict([photo])
    assert boxes
    for mask in boxes:
        x, y, width, height = mask.bbox
        edges = [round(edge) for edge in (x, x + width, y, y + height)]
        assert mask.area == (edges[1] - edges[0]) * (edges[3] - edges[2])
