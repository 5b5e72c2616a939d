"""AP on records, where it is known."""

from __future__ import annotations

import dataclasses

import pytest

from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.validation import average_precision, comparable


def test_the_truth_itself_is_perfect(records):
    assert average_precision(records, [list(r.masks) for r in records]) == {
        "AP": 1,
        "AP50": 1,
        "AR100": 1,
    }


def test_nothing_found_is_0(records):
    assert average_precision(records, [[] for _ in records]) == {
        "AP": 0,
        "AP50": 0,
        "AR100": 0,
    }


def test_half_of_it_is_half(records):
    found = [[record.masks[0]] for record in records]
    # COCO's recall points from 0 to 0.5 are 51 of 101.
    assert average_precision(records, found)["AP"] == pytest.approx(51 / 101)


def test_what_lies_in_a_crowd_counts_as_nothing(records):
    crowded = [
        dataclasses.replace(record, masks=record.masks[:1], crowds=record.masks[1:])
        for record in records
    ]
    found = [
        [
            dataclasses.replace(mask, score=score)
            for mask, score in zip(r.masks, (0.5, 0.9), strict=True)
        ]
        for r in records
    ]
    assert average_precision(crowded, found)["AP"] == 1
    wrong = [dataclasses.replace(record, masks=record.masks[:1]) for record in records]
    assert average_precision(wrong, found)["AP"] < 1


def test_classes_are_counted_apart_and_what_has_none_counts_as_nothing(records):
    labelling = Labelling(("cat", "mug"))
    cat, mug, unknown = (
        [dataclasses.replace(r.masks[place], label=name) for r in records]
        for place, name in ((0, "cat"), (1, "mug"), (1, "object"))
    )
    named = [
        dataclasses.replace(r, masks=m)
        for r, m in zip(records, zip(cat, mug, strict=True), strict=True)
    ]
    found = [[one, other] for one, other in zip(cat, mug, strict=True)]
    assert average_precision(named, found, labelling=labelling)["AP"] == 1
    swapped = [[one, dataclasses.replace(one, label="mug")] for one in cat]
    assert average_precision(named, swapped, labelling=labelling)["AP"] == 0.5
    half = [
        dataclasses.replace(r, masks=m)
        for r, m in zip(records, zip(cat, unknown, strict=True), strict=True)
    ]
    assert average_precision(half, found, labelling=labelling)["AP"] == 1
    assert average_precision(half, swapped, labelling=labelling)["AP"] == 1


def test_where_a_label_has_no_mask_boxes_are_compared(records):
    box = dataclasses.replace(records[0], masks=(), boxes=records[0].masks)
    assert comparable(records) == ("segm", "bbox")
    assert comparable([*records, box]) == ("bbox",)


def test_boxes_are_compared_by_their_boxes_alone(records):
    """A mask of other pixels, and of none, in the same box is perfect."""
    found = [[dataclasses.replace(m, segmentation={}) for m in r.masks] for r in records]
    assert average_precision(records, found, "bbox") == {"AP": 1, "AP50": 1, "AR100": 1}
    moved = [[dataclasses.replace(m, bbox=(0.0, 0.0, 1.0, 1.0)) for m in r.masks] for r in records]
    assert average_precision(records, moved, "bbox")["AR100"] == 0
