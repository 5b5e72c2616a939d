"""`load_benchmark` as the App asks for it."""

from __future__ import annotations

import json


def test_benchmark_is_loaded_and_opened(app, photos, photo_files, tmp_path):
    import fiftyone as fo

    annotations = tmp_path / "annotations.json"
    images = [
        {"id": i, "file_name": path.name, "width": 160, "height": 120}
        for i, path in enumerate(photo_files, start=1)
    ]
    box = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 200}
    box |= {"bbox": [5, 5, 20, 10], "segmentation": [[5, 5, 25, 5, 25, 15, 5, 15]]}
    content = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "cat"}]}
    annotations.write_text(json.dumps(content))
    params = {
        "name": "coco2017",
        "images_dir": str(photo_files[0].parent),
        "annotations": str(annotations),
        "dataset_name": "benchmark-of-a-test",
    }
    try:
        invoked, result = app.run("load_benchmark", photos, params)
        assert (result["images"], result["objects"], result["missing"]) == (4, 1, 0)
        assert "open_dataset" in [name.rpartition("/")[2] for name, _ in invoked]
        form = app.form("load_benchmark", photos, params)
        assert "exists already" in app.wrong(form)["dataset_name"]
    finally:
        fo.delete_dataset("benchmark-of-a-test")
    missing = {"name": "coco2017", "images_dir": "/no/such/folder"}
    assert (
        "there is no /no/such/folder"
        in app.wrong(app.form("load_benchmark", photos, missing))["images_dir"]
    )
