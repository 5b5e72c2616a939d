"""Counts of runs: added up, and written and read without loss."""

from __future__ import annotations

import json

from promerge_core.images import SkippedImage
from promerge_core.runs.summary import Summary


def counted(seconds):
    summary = Summary(seconds={"backbone": seconds})
    summary.count(3, None)
    summary.count(0, "no_proposals")
    summary.skip(SkippedImage("a.png", "not an image"))
    return summary


def test_counts_survive_json():
    summary = counted(1.5)
    assert Summary.from_dict(json.loads(json.dumps(summary.to_dict()))) == summary


def test_counts_of_two_runs_add_up():
    total = Summary()
    total.merge(counted(1.5))
    total.merge(counted(2.0))
    assert (total.images, total.masks, total.reasons["no_proposals"]) == (4, 6, 2)
    assert [image.path for image in total.skipped] == ["a.png", "a.png"]
    assert total.seconds == {"backbone": 3.5}


def test_skipped_images_are_told_apart_by_the_kind_of_reason():
    summary = Summary()
    summary.skip(SkippedImage("b: c.png", "/a/b: c.png: broken image: 12 bytes are missing"))
    summary.skip(SkippedImage("d.png", "d.png: not an image"))
    for number in range(5):
        summary.skip(SkippedImage(f"e/{number}.png", f"/a/e/{number}.png: broken image: {number}"))
    first, second = summary.skipped_kinds()
    assert (first.reason, len(first.images)) == ("broken image", 6)
    assert first.names == "b: c.png, 0.png, 1.png and 3 more"
    assert (second.reason, second.names) == ("not an image", "d.png")
