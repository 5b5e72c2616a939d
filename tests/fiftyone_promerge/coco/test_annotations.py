"""Labels as COCO annotations."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

WIDTH, HEIGHT = 37, 23


def test_masks_laid_like_other_tools_do_are_drawn_alike(make_dataset, add_image):
    """A mask that is not of its box's size, and one on disk, take the slower way."""
    import fiftyone as fo

    from fiftyone_promerge.coco.annotations import read_annotations
    from fiftyone_promerge.labels import detection_to_mask

    dataset = make_dataset()
    mask = np.random.default_rng(0).random((9, 11)) < 0.5
    labels = [
        fo.Detection(bounding_box=[0.11, 0.2, 0.3, 0.4], mask=mask),
        fo.Detection(bounding_box=[0.5, 0.5, 1 / WIDTH, 1 / HEIGHT], mask=mask),
        fo.Detection(bounding_box=[3 / WIDTH, 2 / HEIGHT, 11 / WIDTH, 9 / HEIGHT], mask=mask),
    ]
    add_image(dataset, masks=fo.Detections(detections=labels))
    [annotations] = read_annotations(dataset, "masks", with_masks=True)
    for label, annotation in zip(labels, annotations, strict=True):
        drawn = detection_to_mask(label, WIDTH, HEIGHT)
        assert (coco_mask.decode(annotation["segmentation"]) == drawn).all()


def test_labels_keep_coco_s_own_numbers_and_others_are_computed(make_dataset, add_image):
    import fiftyone as fo

    from fiftyone_promerge.coco.annotations import annotation_area, read_annotations

    dataset = make_dataset()
    box = [4 / WIDTH, 5 / HEIGHT, 3 / WIDTH, 2 / HEIGHT]
    mask = np.array([[1, 1, 0], [1, 0, 0]], bool)
    labels = [
        fo.Detection(bounding_box=box, area=5.5, iscrowd=1, coco_bbox=[4.1, 5.2, 2.9, 1.8]),
        fo.Detection(bounding_box=box, mask=mask, confidence=0.5),
        fo.Detection(bounding_box=box),
    ]
    add_image(dataset, masks=fo.Detections(detections=labels))
    add_image(dataset, "empty.png")
    [given, with_mask, with_box], empty = read_annotations(dataset, "masks", with_masks=True)
    assert empty == []
    assert (given["bbox"], given["iscrowd"], given["score"]) == ([4.1, 5.2, 2.9, 1.8], 1, None)
    assert (with_mask["bbox"], with_mask["iscrowd"], with_mask["score"]) == ([4, 5, 3, 2], 0, 0.5)
    assert coco_mask.decode(with_mask["segmentation"])[5:7, 4:7].tolist() == mask.tolist()
    assert [annotation_area(label) for label in (given, with_mask, with_box)] == [5.5, 3, 6]
    assert [label["id"] for label in (given, with_mask, with_box)] == [1, 2, 3]
    [[given, with_mask, _], _] = read_annotations(dataset, "masks", with_masks=False)
    assert "segmentation" not in given | with_mask


def test_a_label_on_an_image_of_unknown_size_names_the_image(make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.coco.annotations import CocoError, read_annotations

    dataset = make_dataset()
    label = fo.Detection(bounding_box=[0, 0, 1, 1])
    dataset.add_sample(fo.Sample("/images/a.png", masks=fo.Detections(detections=[label])))
    with pytest.raises(CocoError, match=r"The size of /images/a\.png is unknown: call compute"):
        read_annotations(dataset, "masks", with_masks=True)


def test_batches_are_all_samples_in_order(make_dataset):
    from fiftyone_promerge.coco.annotations import BATCH_SIZE, batches

    dataset = make_dataset()
    dataset.add_images([f"/images/{number}.png" for number in range(BATCH_SIZE + 3)])
    first, second = batches(dataset)
    assert (len(first), len(second)) == (BATCH_SIZE, 3)
    assert first.values("id") + second.values("id") == dataset.values("id")


def test_batches_reach_the_last_sample_whatever_the_estimate(dataset, monkeypatch):
    import fiftyone as fo

    from fiftyone_promerge.coco.annotations import batches

    monkeypatch.setattr(fo.Dataset, "_estimated_count", lambda *_, **__: 1)
    assert sum(len(batch.values("id")) for batch in batches(dataset)) == 6
