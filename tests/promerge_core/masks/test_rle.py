"""Run-length encoding against pycocotools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from promerge_core.masks.rle import decode_rle, encode_rle


def uncompressed(mask):
    """COCO's runs, column by column, beginning with the zeros."""
    flat = np.concatenate([[False], mask.flatten(order="F"), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()
    return {"size": list(mask.shape), "counts": runs if runs[-1] else runs[:-1]}


def test_rle_is_pycocotools_and_comes_back(drawn):
    (rle,) = encode_rle(drawn[None])
    expected = coco_mask.encode(np.asfortranarray(drawn.astype(np.uint8)))
    assert rle == {"size": list(drawn.shape), "counts": expected["counts"].decode()}
    restored = decode_rle(json.loads(json.dumps(rle)))
    assert restored.dtype == bool
    assert np.array_equal(restored, drawn)
    assert np.array_equal(decode_rle({**rle, "counts": rle["counts"].encode()}), drawn)


def test_uncompressed_rle_is_decoded(drawn):
    assert np.array_equal(decode_rle(uncompressed(drawn)), drawn)


@pytest.mark.parametrize("counts", [[5], [5, 30, 1], [36], []])
def test_runs_that_do_not_fill_the_image_are_refused(counts):
    with pytest.raises(ValueError, match="add up to"):
        decode_rle({"size": [5, 7], "counts": counts})


def test_many_masks_are_encoded_in_their_order_whatever_their_layout():
    masks = np.random.default_rng(2).random((6, 11, 8)) < 0.4
    for layout in (masks, masks.astype(np.uint8), np.asfortranarray(masks), masks[::1, ::-1]):
        decoded = [decode_rle(rle) for rle in encode_rle(layout)]
        assert np.array_equal(decoded, layout.astype(bool))


def test_no_masks_encode_to_none():
    assert encode_rle(np.zeros((0, 5, 5), bool)) == []
