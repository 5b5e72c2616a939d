"""Ground truth as trainings read it."""

from __future__ import annotations

import numpy as np


def test_truth_is_read_with_boxes_masks_and_crowds(dataset):
    import fiftyone as fo

    from fiftyone_promerge.evaluation.truth import read_truth

    dataset.compute_metadata()
    keys = dataset.values("id")
    first, second = dataset.limit(2)
    box = [0.5, 0, 0.5, 0.5]
    first["truth"] = fo.Detections(
        detections=[fo.Detection(bounding_box=box), fo.Detection(bounding_box=box, iscrowd=1)]
    )
    first.save()
    second["truth"] = fo.Detections()
    second.save()
    truth = read_truth(dataset, "truth", keys)
    assert [*truth.records] == keys[:2] and not truth.with_masks
    record, width, height = truth.records[keys[0]], first.metadata.width, first.metadata.height
    assert record.masks[0].bbox == (width / 2, 0, width / 2, height / 2)
    assert (len(record.masks), len(record.crowds)) == (1, 1)
    assert truth.records[keys[1]].masks == ()

    first["truth"].detections = [fo.Detection(bounding_box=box, mask=np.ones((20, 45), bool))]
    first.save()
    assert read_truth(dataset, "truth", keys).with_masks
    assert read_truth(dataset, "truth", keys[3:]) is None
