"""SA-1B's own files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

WIDTH, HEIGHT = 30, 20


def test_sa1b_is_read_from_its_own_files(make_dataset, tmp_path):
    import fiftyone_promerge as fop

    name = make_dataset().name + "-sa1b"
    for number in (1, 2):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"sa_{number}.jpg")
        mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
        mask[: number * 3, :4] = 1
        rle = coco_mask.encode(mask)
        label = {
            "id": 100 + number,
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
            "bbox": [0, 0, 4, number * 3],
            "area": 12 * number,
        }
        content = {
            "image": {
                "image_id": number,
                "file_name": f"sa_{number}.jpg",
                "width": WIDTH,
                "height": HEIGHT,
            },
            "annotations": [label],
        }
        (tmp_path / f"sa_{number}.json").write_text(json.dumps(content))
    dataset = fop.load_benchmark("sa1b", tmp_path, tmp_path, name)
    assert dataset.values("coco_id") == [1, 2]
    assert [d[0].mask.sum() for d in dataset.values("ground_truth.detections")] == [12, 24]
    dataset.delete()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"image": ', r"sa_1\.json is not valid JSON"),
        ("[]", r"sa_1\.json is not an SA-1B file"),
        ('{"image": {}}', "it has no image and annotations"),
        ("[" * 100_000, r"sa_1\.json is not valid JSON"),
        ('{"image": [], "annotations": []}', r"the image of .*sa_1\.json has no image_id"),
        ('{"image": {"image_id": 1}, "annotations": 5}', "its annotations are no list"),
        ('{"image": {"image_id": 1}, "annotations": [5]}', r"annotation of .*sa_1\.json has no id"),
    ],
)
def test_other_files_are_refused_by_name(database, tmp_path, text, message):
    from fiftyone_promerge.benchmarks.sa1b import Sa1bFolder
    from fiftyone_promerge.coco.annotations import CocoError

    (tmp_path / "sa_1.json").write_text(text)
    with pytest.raises(CocoError, match=message):
        list(Sa1bFolder(tmp_path).images())
        list(Sa1bFolder(tmp_path).annotations())


def test_files_are_read_in_order_and_keep_their_ids(database, tmp_path):
    from fiftyone_promerge.benchmarks.sa1b import Sa1bFolder

    for number in (2, 1):
        content = {"image": {"image_id": number}, "annotations": [{"id": 10 * number}]}
        (tmp_path / f"sa_{number}.json").write_text(json.dumps(content))
    folder = Sa1bFolder(tmp_path)
    assert [image["id"] for image in folder.images()] == [1, 2]
    found = [(one["id"], one["image_id"]) for one in folder.annotations()]
    assert found == [(10, 1), (20, 2)]
    assert folder.categories() == {}
