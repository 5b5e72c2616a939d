"""What a form and the command say before a run."""

from __future__ import annotations

import pytest


@pytest.fixture
def half_done(dataset):
    """Six photos, two of them with a label."""
    import fiftyone as fo

    for sample in dataset.limit(2):
        sample["masks"] = fo.Detections()
        sample.save()
    return dataset


def test_samples_with_a_label_are_done(half_done):
    from fiftyone_promerge.app.targets import count_target, labels_there, work_ahead

    target = count_target(half_done, "masks")
    assert (target.samples, target.done) == (6, 2)
    assert work_ahead(target) == "6 images: 4 to do, 2 have masks"
    assert work_ahead(target, overwrite=True) == "6 images: all to do, 2 of them again"
    assert labels_there(target, "masks") == "6 images: 2 have labels in masks, 4 have none"
    assert work_ahead(count_target(half_done.limit(1), "masks")) == "1 image: 0 to do, 1 has masks"


def test_a_field_that_is_not_there_has_no_labels(half_done):
    from fiftyone_promerge.app.targets import count_target, work_ahead

    for field in ("nothing", None):
        assert work_ahead(count_target(half_done, field)) == "6 images: all to do"
    assert work_ahead(count_target(half_done.limit(0), "masks")) == "0 images: nothing to do"


def test_labels_of_too_many_samples_are_not_counted(half_done, monkeypatch):
    from fiftyone_promerge.app import targets

    monkeypatch.setattr(targets, "MOST_COUNTED", 5)
    said = targets.work_ahead(targets.count_target(half_done, "masks"))
    assert said == "6 images: those that have masks are left alone"


def test_a_patch_is_done_where_its_image_is(half_done):
    import fiftyone as fo

    from fiftyone_promerge.app.targets import count_target, work_ahead

    box = fo.Detection(label="a", bounding_box=[0, 0, 1, 1])
    half_done.set_values("boxes", [fo.Detections(detections=[box.copy()]) for _ in range(6)])
    target = count_target(half_done.to_patches("boxes"), "masks")
    assert work_ahead(target) == "6 patches: 4 to do, 2 have masks"
