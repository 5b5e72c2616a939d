"""Overlap of masks against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from promerge_core.masks.overlap import mask_iou
from promerge_core.masks.rle import encode_rle


def test_iou_is_pycocotools():
    rng = np.random.default_rng(5)
    first, second = rng.random((2, 30, 12, 17)) < rng.random((2, 30, 1, 1))
    found = mask_iou(torch.from_numpy(first), torch.from_numpy(second))
    expected = coco_mask.iou(encode_rle(first), encode_rle(second), [0] * 30).diagonal()
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_iou_of_two_empty_masks_is_zero():
    none = torch.zeros(1, 3, 3, dtype=torch.bool)
    assert mask_iou(none, none).tolist() == [0]
