"""Which classes the labels of a run have, and whether there are masks."""

from __future__ import annotations

import dataclasses

import pytest

from fiftyone_promerge.training.data.boxes import box_mask
from fiftyone_promerge.training.data.labelling import NO_CLASS, Labelling, labelling_of
from fiftyone_promerge.training.data.records import RecordError


def called(records, *names):
    """The drawn images' two boxes with these names."""
    return [
        dataclasses.replace(
            record,
            masks=tuple(
                dataclasses.replace(mask, label=name)
                for mask, name in zip(record.masks, names, strict=True)
            ),
        )
        for record in records
    ]


def test_classes_are_counted_and_sorted_and_objects_have_none(records):
    named = called(records[:3], "mug", "object") + called(records[3:5], "cat", "mug")
    labelling, counts = labelling_of(named, by_class=True)
    assert labelling == Labelling(("cat", "mug"), has_masks=True)
    assert counts == {"mug": 5, "object": 3, "cat": 2}
    assert labelling.numbers(named[0].masks).tolist() == [2, NO_CLASS]
    assert labelling.names == ("cat", "mug")


def test_without_classes_all_labels_are_of_one(records):
    named = called(records, "mug", "cat")
    labelling, _ = labelling_of(named, by_class=False)
    assert labelling == Labelling(None, has_masks=True)
    assert labelling.numbers(named[0].masks).tolist() == [1, 1]
    assert labelling.names == ("object",)


def test_boxes_alone_teach_no_masks(records):
    boxes = (box_mask((1, 2, 20, 20), 64, 64, "mug"),)
    alone = [dataclasses.replace(record, masks=(), boxes=boxes) for record in records]
    assert labelling_of(alone, by_class=True)[0] == Labelling(("mug",), has_masks=False)
    assert labelling_of([*alone, records[0]], by_class=True)[0].has_masks


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("object", "none of the 20 labels names a class, all are called 'object'"),
        ("a" * 300, "a name of 1 to 100 printable characters; one has 300: 'aaaaaaaaaaaaaaaaaaaa'"),
        ("a\nb", "printable characters; one has 3"),
    ],
)
def test_what_is_no_class_is_one_sentence(records, name, message):
    with pytest.raises(RecordError, match=message) as caught:
        labelling_of(called(records, name, "object"), by_class=True)
    assert "\n" not in str(caught.value)
