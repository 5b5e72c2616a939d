"""`promerge predict`: masks of a trained detector for files and for datasets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

FAST = ("--workers", "0", "--device", "cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def predict(promerge, checkpoint):
    """The command with a checkpoint; its initial weights find something anywhere."""
    return lambda source, *flags: promerge(
        "predict", source, "--checkpoint", checkpoint, *FAST, *flags
    )


def test_a_folder_becomes_a_json_whose_header_names_the_checkpoint(
    predict, photos: Path, tmp_path: Path, checkpoint: Path
):
    from fiftyone_promerge.training import load

    output = tmp_path / "found.json"
    result = predict(photos, "--output", output)
    assert result.exit_code == 0, result.output
    coco = COCO(str(output))
    names = [f"{number}.png" for number in range(4)] + ["more/4.png"]
    assert [image["file_name"] for image in coco.imgs.values()] == names
    run = coco.dataset["info"]["run"]
    assert run["checkpoint"] == checkpoint.name
    assert run["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    detector = load(checkpoint, torch.device("cpu"))
    for image_id, name in enumerate(names, start=1):
        (expected,) = detector.predict([np.asarray(Image.open(photos / name))])
        found = coco.imgToAnns[image_id]
        assert [one["score"] for one in found] == [mask.score for mask in expected]
        assert [one["segmentation"] for one in found] == [mask.segmentation for mask in expected]


def test_a_run_is_done_once_and_never_mixed_with_another(
    predict, promerge, photos: Path, tmp_path: Path, checkpoint: Path
):
    output = tmp_path / "found.json"
    journal = tmp_path / "found.json.partial"
    assert predict(photos, "--output", output).exit_code == 0
    whole = output.read_bytes()
    run = json.loads(whole)["info"]["run"]
    assert "complete already" in promerge.message(predict(photos, "--output", output))
    # A journal of another checkpoint is not continued.
    output.unlink()
    journal.write_text(json.dumps({**run, "sha256": "0" * 64}) + "\n")
    refused = predict(photos, "--output", output)
    assert refused.exit_code == 1
    assert "begun with other images or settings" in promerge.message(refused)
    # Its own is: the batch that is done is not done again.
    rows = [
        {"id": number + 1, "file_name": f"{number}.png", "skipped": "said by the journal"}
        for number in range(4)
    ]
    journal.write_text(f"{json.dumps(run)}\n{json.dumps(rows)}\n")
    continued = predict(photos, "--output", output)
    assert continued.exit_code == 0
    assert "4 images: said by the journal" in promerge.message(continued)
    assert [image["file_name"] for image in json.loads(output.read_text())["images"]] == [
        "more/4.png"
    ]


def test_a_broken_image_is_listed_and_the_rest_done(
    predict, promerge, photos: Path, tmp_path: Path
):
    (photos / "2.png").write_text("no image")
    result = predict(str(photos / "*.png"), "--output", tmp_path / "found.json")
    assert result.exit_code == 0
    assert "2.png: not an image" in promerge.message(result)
    assert len(COCO(str(tmp_path / "found.json")).imgs) == 3


def test_a_dataset_by_name_and_one_made_of_a_folder(
    predict, photos: Path, tmp_path: Path, dataset_name: str
):
    import fiftyone as fo

    output = tmp_path / "found.json"
    result = predict(photos, "--dataset", dataset_name, "--output", output)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset(dataset_name)
    assert len(dataset.exists("promerge_plus")) == 5
    assert len(COCO(str(output)).anns) == dataset.count("promerge_plus.detections")
    assert predict(dataset_name, "--field", "again").exit_code == 0
    dataset.reload()
    assert dataset.values("again.detections.confidence") == dataset.values(
        "promerge_plus.detections.confidence"
    )


def test_what_is_nowhere_is_one_sentence(predict, promerge, dataset_name: str):
    for source, said in [
        (dataset_name, "there is no folder, file, glob match or FiftyOne dataset"),
        ("s3://bucket/photos", "is a URL; a detector reads files and datasets"),
    ]:
        result = predict(source)
        assert result.exit_code == 1
        assert said in promerge.message(result)
