"""The figures of a dataset against the labels and runs that it holds."""

from __future__ import annotations

import numpy as np
import pytest


def test_statistics_are_those_of_the_labels(make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.inspection.statistics import field_statistics

    dataset = make_dataset()
    rng = np.random.default_rng(0)
    areas, scores, counts = [], [], [0, 3, 1, 3, None]
    for count in counts:
        sample = fo.Sample(filepath=f"{rng.integers(1e9)}.jpg")
        if count is not None:
            boxes = rng.uniform(0.01, 0.5, (count, 4))
            confidences = rng.uniform(0, 1, count)
            areas += (boxes[:, 2] * boxes[:, 3]).tolist()
            scores += confidences.tolist()
            sample["masks"] = fo.Detections(
                detections=[
                    fo.Detection(bounding_box=box.tolist(), confidence=float(confidence))
                    for box, confidence in zip(boxes, confidences, strict=True)
                ]
            )
        dataset.add_sample(sample)
    statistics = field_statistics(dataset, "masks")
    assert statistics.images_by_masks == {0: 1, 1: 1, 3: 2}
    assert (statistics.images, statistics.masks) == (4, 7)
    for histogram, values in ((statistics.areas, np.log10(areas)), (statistics.scores, scores)):
        expected, _ = np.histogram(values, bins=histogram.edges)
        assert histogram.counts == expected.tolist()
        assert sum(histogram.counts) == 7


def test_box_without_area_is_counted_as_the_smallest(make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.inspection.statistics import field_statistics

    dataset = make_dataset()
    point = fo.Detection(bounding_box=[0.5, 0.5, 0, 0])
    dataset.add_sample(fo.Sample(filepath="a.jpg", masks=fo.Detections(detections=[point])))
    assert field_statistics(dataset, "masks").areas.counts[0] == 1


def test_evaluations_of_a_view_are_our_own_of_its_dataset(make_dataset):
    import fiftyone as fo

    import fiftyone_promerge as fop
    from fiftyone_promerge.inspection.statistics import evaluation_rows

    dataset = make_dataset()
    square = {"bounding_box": [0, 0, 0.5, 0.5], "confidence": 0.5}
    truth, found = (fo.Detections(detections=[fo.Detection(**square)]) for _ in range(2))
    metadata = fo.ImageMetadata(width=40, height=40)
    dataset.add_sample(fo.Sample(filepath="a.jpg", metadata=metadata, truth=truth, found=found))
    view = dataset.limit(1)
    assert evaluation_rows(view) == []

    fop.evaluate(dataset, "found", "truth", "mine", iou_type="bbox")
    dataset.evaluate_detections("found", "truth", eval_key="theirs")
    (row,) = evaluation_rows(view)
    assert (row["name"], row["published"], row["AP"]) == ("mine", False, pytest.approx(100))

    dataset.info["benchmark"] = "kitti"
    assert [row["name"] for row in evaluation_rows(view) if row["published"]]
    dataset.info["benchmark"] = "coco2017"
    assert not [row["name"] for row in evaluation_rows(view) if row["published"]]
