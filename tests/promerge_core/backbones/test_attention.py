"""Blocked attention against PyTorch's, in one precision and the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from promerge_core import load_backbone
from promerge_core.backbones.attention import ROWS, BlockedAttention, attend


def drawn(*shape, dtype=torch.float32):
    """Query, key and value [2, 3, N, 16], as timm cuts them from one projection."""
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, *shape, 3, 3, 16, generator=generator).to(dtype)
    return qkv.permute(2, 0, 3, 1, 4).unbind(0)


@pytest.mark.parametrize("tokens", [1, 7, ROWS, ROWS + 1, 2 * ROWS + 30])
def test_in_float32_it_is_pytorchs(tokens):
    query, key, value = drawn(tokens)
    expected = F.scaled_dot_product_attention(query, key, value)
    assert torch.allclose(attend(query, key, value), expected, atol=1e-6)


def test_keys_may_be_fewer_than_queries():
    query, key, value = drawn(ROWS + 5)
    key, value = key[:, :, :9], value[:, :, :9]
    expected = F.scaled_dot_product_attention(query, key, value)
    assert torch.allclose(attend(query, key, value), expected, atol=1e-6)


def test_in_bfloat16_it_differs_by_its_rounding():
    query, key, value = drawn(600)
    expected = F.scaled_dot_product_attention(query, key, value)
    found = attend(query.bfloat16(), key.bfloat16(), value.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.01 * expected.norm()


def test_only_plain_attention_is_replaced():
    query, key, value = drawn(40, dtype=torch.bfloat16)
    mask = torch.ones(40, 40, dtype=torch.bool).tril()
    for options in ({"attn_mask": mask}, {"is_causal": True}, {"scale": 0.5}):
        expected = F.scaled_dot_product_attention(query, key, value, **options)
        with BlockedAttention():
            found = F.scaled_dot_product_attention(query, key, value, **options)
        assert torch.equal(found, expected)
    with BlockedAttention():
        found = F.scaled_dot_product_attention(
            query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False
        )
    assert torch.equal(found, attend(query, key, value))


def test_the_keys_of_a_vit_stay_within_a_thousandth(small_file, load_small, pictures):
    exact = load_small(small_file)
    half = load_backbone("dino_vits16", "cpu", "bfloat16", small_file)
    images = exact.normalise(pictures)
    with torch.inference_mode(), BlockedAttention():
        found = half(images)
    assert torch.cosine_similarity(found, exact(images)).min() >= 0.999
