"""`promerge generate`."""

from __future__ import annotations

import json
from pathlib import Path

from pycocotools.coco import COCO

from promerge_core import ProMergeConfig


def test_folder_to_json_without_a_dataset(promerge, photos: Path, tmp_path: Path):
    output = tmp_path / "masks.json"
    result = promerge("generate", photos, "--output", output, *promerge.FAST)
    assert result.exit_code == 0, result.output
    coco = COCO(str(output))
    assert [image["file_name"] for image in coco.imgs.values()] == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
        "more/4.png",
    ]
    assert coco.anns
    again = promerge("generate", photos, "--output", output, *promerge.FAST)
    assert "complete already" in promerge.message(again)


def test_other_settings_need_overwrite(promerge, photos: Path, tmp_path: Path):
    output = tmp_path / "masks.json"
    promerge("generate", photos, "--output", output, *promerge.FAST)
    changed = [
        "generate",
        photos,
        "--output",
        output,
        *promerge.FAST,
        "--affinity-threshold",
        "0.3",
    ]
    assert "overwrite" in promerge.message(promerge(*changed))
    assert promerge(*changed).exit_code == 1
    assert promerge(*changed, "--overwrite").exit_code == 0


def test_folder_to_dataset_and_json(promerge, photos: Path, tmp_path: Path, dataset_name: str):
    import fiftyone as fo

    output = tmp_path / "masks.json"
    command = ["generate", photos, "--dataset", dataset_name, "--output", output, *promerge.FAST]
    result = promerge(*command)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset(dataset_name)
    assert dataset.persistent
    assert len(dataset.exists("promerge")) == 5
    assert len(COCO(str(output)).anns) == dataset.count("promerge.detections")
    assert "5 images had masks already" in promerge.message(promerge(*command))


def test_masks_of_a_dataset_may_have_vectors(
    promerge, photos: Path, tmp_path: Path, dataset_name: str
):
    import fiftyone as fo

    flags = ("--embeddings", *promerge.FAST)
    result = promerge("generate", photos, "--dataset", dataset_name, *flags)
    assert result.exit_code == 0 and "each mask gets a vector of" in result.output
    dataset = fo.load_dataset(dataset_name)
    count = dataset.count("promerge.detections.embedding")
    assert count == dataset.count("promerge.detections") > 0
    result = promerge("generate", photos, "--output", tmp_path / "a.json", *flags)
    assert result.exit_code == 1 and "json holds no vectors" in promerge.message(result)
    ray = promerge("generate", photos, "--output", tmp_path / "a", "--engine", "ray", *flags)
    assert ray.exit_code == 2 and "is not for the engine ray" in promerge.message(ray)


def test_existing_dataset_gets_the_baseline_beside(promerge, photos: Path, dataset_name: str):
    import fiftyone as fo

    promerge("generate", photos, "--dataset", dataset_name, *promerge.FAST)
    result = promerge("generate", dataset_name, "--method", "maskcut", *promerge.FAST)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset(dataset_name)
    assert len(dataset.exists("maskcut")) == len(dataset.exists("promerge")) == 5
    assert dataset.get_run_info("maskcut").config.method == "maskcut"


def test_a_broken_image_is_listed_and_the_rest_done(promerge, photos: Path, tmp_path: Path):
    (photos / "2.png").write_text("no image")
    result = promerge("generate", photos, "--output", tmp_path / "masks.json", *promerge.FAST)
    assert result.exit_code == 0
    assert "2.png: not an image" in promerge.message(result)
    assert len(COCO(str(tmp_path / "masks.json")).imgs) == 4


def test_an_output_that_cannot_be_written_is_said_before_the_work(
    promerge, photos: Path, tmp_path: Path, dataset_name: str
):
    import fiftyone as fo

    annotations = tmp_path / "annotations.json"
    annotations.write_text('{"images": [], "annotations": [], "categories": []}')
    text = tmp_path / "notes.txt"
    text.write_text("mine")
    before = {path: path.read_bytes() for path in (annotations, text)}
    command = ["generate", photos, "--dataset", dataset_name, *promerge.FAST, "--output"]
    for output, said in [
        (tmp_path / "no" / "such.json", "there is no folder"),
        (tmp_path, "is a folder"),
        (annotations, "no run of fiftyone-promerge wrote it"),
        (text, "no run of fiftyone-promerge wrote it"),
    ]:
        result = promerge(*command, output)
        assert result.exit_code == 1
        assert said in promerge.message(result)
        assert not fo.dataset_exists(dataset_name)
    assert {path: path.read_bytes() for path in before} == before
    assert promerge(*command, annotations, "--overwrite").exit_code == 0
    assert COCO(str(annotations)).anns
    # It is ours now.
    assert promerge(*command, annotations).exit_code == 0


def test_a_preset_stands_in_the_json_and_a_flag_goes_before_it(
    promerge, photos: Path, tmp_path: Path
):
    output = tmp_path / "masks.json"
    refused = promerge(
        "generate", photos, "--output", output, *promerge.FAST, "--preset", "microscope"
    )
    assert refused.exit_code == 1
    assert "preset must be one of microscopy; got 'microscope'" in promerge.message(refused)
    result = promerge(
        "generate", photos, "--output", output, *promerge.FAST, "--preset", "microscopy"
    )
    assert result.exit_code == 0, result.output
    run = json.loads(output.read_text())["info"]["run"]
    assert run["parameters"] == ProMergeConfig.from_preset("microscopy", image_size=240).to_dict()
