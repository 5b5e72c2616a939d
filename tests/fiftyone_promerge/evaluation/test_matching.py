"""One image's outcome and the numbers over all images, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from bson import ObjectId
from pycocotools import mask as coco_mask

SIDE = 40


@pytest.fixture
def matching(database):
    """The module under test; FiftyOne may be imported only once the database runs."""
    import fiftyone_promerge.evaluation.matching

    return fiftyone_promerge.evaluation.matching


@pytest.fixture(params=["segm", "bbox"])
def outcome(request, matching):
    """Matches squares, as masks or as boxes."""
    return lambda truth, found: matching.ImageOutcome(
        annotations(truth), annotations(found), request.param
    )


def square(x, y, side, score=None, crowd=0, name="object"):
    return {"box": (x, y, side, side), "score": score, "iscrowd": crowd, "class": name}


def annotations(squares):
    """Squares as `read_annotations` gives labels."""
    made = []
    for number, one in enumerate(squares, 1):
        x, y, width, height = one["box"]
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[y : y + height, x : x + width] = 1
        made.append(
            {
                "id": number,
                "label_id": f"{number:024x}",
                "class": one["class"],
                "score": one["score"],
                "iscrowd": one["iscrowd"],
                "bbox": list(map(float, one["box"])),
                "segmentation": coco_mask.encode(np.asfortranarray(mask)),
                "given_area": None,
            }
        )
    return made


def kinds(found):
    """What each match is, with the numbers of its labels, from 1; 0 for none."""
    names = {(True, True): "tp", (False, True): "fp", (True, False): "fn"}
    return [
        (
            names[truth is not None, label is not None],
            int(truth or "0", 16),
            int(label or "0", 16),
        )
        for *_, truth, label in found.matches
    ]


def test_the_best_overlap_of_the_surest_is_a_match_and_the_rest_is_not(outcome):
    truth = [square(0, 0, 10), square(20, 20, 10)]
    found = outcome(truth, [square(1, 0, 10, 0.5), square(0, 0, 10, 0.9), square(20, 0, 10, 0.7)])
    assert kinds(found) == [("tp", 1, 2), ("fp", 0, 3), ("fp", 0, 1), ("fn", 2, 0)]
    first, *others = found.matches
    assert first[2:4] == (1.0, 0.9)
    assert all(iou is None for _, _, iou, *_ in others)


@pytest.mark.parametrize(("shift", "kind"), [(3, "tp"), (4, "fp")])
def test_an_overlap_of_half_is_needed(outcome, shift, kind):
    found = outcome([square(0, 0, 10)], [square(shift, 0, 10, 0.9)])
    assert kinds(found)[0][0] == kind


def test_what_a_crowd_covers_is_no_error(outcome):
    found = outcome([square(0, 0, 20, crowd=1)], [square(2, 2, 5, 0.9), square(30, 30, 5, 0.8)])
    assert kinds(found) == [("fp", 0, 2)]


def test_an_image_without_labels_has_no_outcome(outcome):
    found = outcome([], [])
    assert found.image == {}
    assert found.counts() == {}
    assert found.matches == []


def test_labels_of_another_class_are_no_match(outcome):
    truth = [square(20, 20, 10, name="cup"), square(0, 0, 10, name="cat")]
    found = outcome(truth, [square(0, 0, 10, 0.9, name="cup"), square(0, 0, 10, 0.8, name="cat")])
    assert sorted(kinds(found)) == [("fn", 1, 0), ("fp", 0, 1), ("tp", 2, 2)]
    assert {match[:2] for match in found.matches} == {
        (None, "cup"),
        ("cup", None),
        ("cat", "cat"),
    }
    assert found.matches[-1][2] == 1.0


def test_the_write_has_the_counts_and_each_labels_outcome(outcome):
    truth = [square(0, 0, 10), square(20, 20, 10)]
    found = outcome(truth, [square(0, 0, 10, 0.9), square(20, 0, 10, 0.7)])
    sample_id = "f" * 24
    update = found.update(sample_id, ["truth.detections", "found.detections"], "eval")
    assert update._filter == {"_id": ObjectId(sample_id)}
    values = update._doc["$set"]
    assert {name: values[name] for name in ("eval_tp", "eval_fp", "eval_fn")} == {
        "eval_tp": 1,
        "eval_fp": 1,
        "eval_fn": 1,
    }
    placed = {}
    for number, one in enumerate(update._array_filters):
        (label_id,) = one.values()
        for path in ("truth", "found"):
            if (status := values.get(f"{path}.detections.$[label{number}].eval")) is not None:
                other = values[f"{path}.detections.$[label{number}].eval_id"]
                placed[path, int(str(label_id), 16)] = (status, int(other or "0", 16))
    assert placed == {
        ("truth", 1): ("tp", 1),
        ("found", 1): ("tp", 1),
        ("found", 2): ("fp", 0),
        ("truth", 2): ("fn", 0),
    }


@pytest.mark.parametrize(("right_first", "ap"), [(True, 1.0), (False, 0.5)])
def test_the_order_of_images_decides_between_equal_scores(outcome, matching, right_first, ap):
    right = outcome([square(0, 0, 10)], [square(0, 0, 10, 0.5)])
    wrong = outcome([], [square(0, 0, 10, 0.5)])
    images = [right, wrong] if right_first else [wrong, right]
    stats = matching.accumulate([one.counts() for one in images], "segm", ["object"]).stats
    assert stats[0] == pytest.approx(ap)
    assert stats[8] == 1


def test_without_ground_truth_no_number_is_defined(outcome, matching):
    image = outcome([], [square(0, 0, 10, 0.5)]).counts()
    assert set(matching.accumulate([image], "segm", ["object"]).stats) == {-1}
