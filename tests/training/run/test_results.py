"""The table of a run: labels and detectors against the first labels and ground truth."""

from __future__ import annotations

import dataclasses

import numpy as np

from fiftyone_promerge.training import (
    Truth,
    load,
    read_results,
    validation_images,
    write_results,
)
from fiftyone_promerge.training.data.samples import open_record
from fiftyone_promerge.training.validation import average_precision
from promerge_core.backbones.device import resolve_device


def test_rows_are_the_written_detector_and_the_labels(trained):
    path, _ = trained
    folder = path.parents[1]
    images = list(validation_images(folder).values())
    half = {image.key: dataclasses.replace(image, masks=image.masks[:1]) for image in images[:1]}
    write_results(folder, Truth(half, with_masks=False))
    rows = {(row["of"], row["against"], row["shapes"]): row for row in read_results(folder)}
    first, truth = "labels of round 0", "ground truth"
    assert [*rows] == [
        ("labels", truth, "boxes"),
        ("detector", first, "masks"),
        ("detector", first, "boxes"),
        ("detector", truth, "boxes"),
    ]
    assert (rows["labels", truth, "boxes"]["AR100"], rows["labels", truth, "boxes"]["images"]) == (
        1,
        1,
    )
    detector = load(path, resolve_device())
    found = [detector.predict([np.array(open_record(image))])[0] for image in images]
    for shapes, iou_type in (("masks", "segm"), ("boxes", "bbox")):
        row = rows["detector", first, shapes]
        expected = average_precision(images, found, iou_type)
        assert {name: row[name] for name in expected} == expected
        assert row["images"] == 2
