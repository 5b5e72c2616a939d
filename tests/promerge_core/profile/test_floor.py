"""The counts of a ViT's work against those that its sizes give."""

from __future__ import annotations

import contextlib

import pytest
import timm
import torch
from torch import nn

from promerge_core.backbones.attention import BlockedAttention
from promerge_core.backbones.vit import ViTBackbone
from promerge_core.profile.floor import Floor, measure_floor
from promerge_core.profile.stopwatch import Stopwatch

BLOCKS, HEADS, TOKENS, DIM = 2, 3, 1 + 6 * 6, 192
"""Of a small ViT on 96 x 96 pixels; of its third block only the keys are computed."""


@pytest.mark.parametrize("attention", [contextlib.nullcontext, BlockedAttention])
def test_the_work_of_a_vit_is_that_of_its_sizes(attention):
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=BLOCKS + 1)
    network = ViTBackbone("tiny", model, torch.float32, dino_positions=True)
    with torch.inference_mode(), attention():
        floor = measure_floor(network, torch.zeros(2, 3, 96, 96), torch.float32, _watch())
    block = 2 * TOKENS * DIM * 12 * DIM + 4 * TOKENS**2 * DIM
    patches = 2 * (TOKENS - 1) * DIM * 3 * 16 * 16
    keys = 2 * TOKENS * DIM * DIM
    assert floor.flop == BLOCKS * block + patches + keys
    assert floor.exponentials == BLOCKS * HEADS * TOKENS**2
    assert floor.flop_per_s > 0
    assert floor.exponentials_per_s > 0


def test_a_network_without_softmax_has_no_exponentials():
    network = nn.Conv2d(3, 4, 1, bias=False)
    floor = measure_floor(network, torch.zeros(1, 3, 8, 8), torch.float32, _watch())
    assert (floor.flop, floor.exponentials) == (2 * 64 * 12, 0)


def test_the_bound_is_the_sum_of_its_parts():
    assert Floor(6.0, 2.0, 10.0, 5.0).seconds == 5.0


def _watch():
    return Stopwatch(torch.device("cpu"), repeats=1)
