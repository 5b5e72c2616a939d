"""Run-length encoding against pycocotools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from promerge_core.errors import CocoError
from promerge_core.masks.rle import compressed_rle, decode_rle, encode_rle


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


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "without size and counts"),
        ({"counts": [35]}, "without size and counts"),
        ({"size": [5, 7]}, "without size and counts"),
        ({"size": "57", "counts": [35]}, "size is not two whole numbers"),
        ({"size": [5], "counts": [5]}, "size is not two whole numbers"),
        ({"size": [5.0, 7], "counts": [35]}, "size is not two whole numbers"),
        ({"size": [-5, -7], "counts": [35]}, "size is not two whole numbers"),
        ({"size": [2**40, 1], "counts": [2**40]}, "size is not two whole numbers"),
        ({"size": [5, 7], "counts": [40, -5]}, "no run lengths"),
        ({"size": [5, 7], "counts": ["35"]}, "no run lengths"),
        ({"size": [5, 7], "counts": [[35]]}, "no run lengths"),
        ({"size": [5, 7], "counts": [34, True]}, "no run lengths"),
        ({"size": [5, 7], "counts": [2**64, 35]}, "no run lengths"),
        ({"size": [5, 7], "counts": [2**31 - 1] * 3}, "add up to"),
        ({"size": [5, 7], "counts": 35}, "no run lengths"),
        ({"size": [5, 7], "counts": None}, "no run lengths"),
        ({"size": [5, 7], "counts": "\u00e9"}, "no run lengths"),
        ({"size": [5, 7], "counts": "hello"}, "no run lengths"),
        ({"size": [5, 7], "counts": b"\x00"}, "no run lengths"),
        ({"size": [5, 7], "counts": "o"}, "no run lengths"),
        ({"size": [5, 7], "counts": "ooooooo0"}, "no run lengths"),
        ({"size": [5, 7], "counts": ""}, "no run lengths"),
        ({"size": [5, 7], "counts": "1"}, "add up to"),
        ({"size": [5, 7], "counts": "S2"}, "add up to"),
    ],
)
@pytest.mark.parametrize("read", [decode_rle, lambda rle: compressed_rle(rle, "a mask")])
def test_what_is_no_rle_is_refused_in_one_sentence(segmentation, message, read):
    with pytest.raises(CocoError, match=f"^a mask has an RLE .*{message}"):
        read(segmentation)


def test_text_that_is_cut_or_too_long_is_refused_wherever_it_is_cut():
    (rle,) = encode_rle(np.random.default_rng(4).random((1, 90, 80)) < 0.5)
    text = rle["counts"]
    cut = [text[:end] for end in range(len(text))]
    for counts in (*cut, text + "1", text + text, "1" + text):
        with pytest.raises(CocoError):
            decode_rle({**rle, "counts": counts})


def test_an_empty_run_inside_does_not_spoil_the_box():
    """pycocotools would say that the box is the whole image."""
    size = [5, 7]
    plain = coco_mask.frPyObjects({"size": size, "counts": [6, 2, 27]}, *size)
    for counts in ([6, 2, 27, 0], [3, 0, 3, 2, 27], [6, 1, 0, 1, 20, 0, 7]):
        checked = compressed_rle({"size": size, "counts": counts}, "a mask")
        assert checked == plain
        assert coco_mask.toBbox(checked).tolist() == [1, 1, 1, 2]


def test_checked_rle_is_the_one_that_was_given(drawn):
    (rle,) = encode_rle(drawn[None])
    assert compressed_rle(rle, "a mask") == rle
    expected = coco_mask.encode(np.asfortranarray(drawn.astype(np.uint8)))
    assert compressed_rle(uncompressed(drawn), "a mask") == expected
