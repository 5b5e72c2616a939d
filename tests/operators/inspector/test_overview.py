"""The figures of a dataset: its evaluations and trainings."""

from __future__ import annotations

import shutil

import pytest


@pytest.mark.parametrize(("benchmark", "beside"), [("kitti", True), ("coco2017", False)])
def test_evaluation_of_boxes_stands_beside_published_ones_of_boxes(
    shown, dataset, benchmark, beside
):
    import fiftyone as fo

    import fiftyone_promerge as fop

    sample = dataset.first()
    box = fo.Detection(label="object", bounding_box=[0.3, 0.1, 0.4, 0.6], confidence=0.9)
    sample["boxes"] = fo.Detections(detections=[box])
    sample.save()
    dataset.info["benchmark"] = benchmark
    dataset.save()
    fop.evaluate(dataset, "boxes", "labels", "perfect", iou_type="bbox")
    panel = shown()
    assert "perfect" in panel
    assert "AP 100.0" in panel
    assert ("ProMerge+ (paper)" in panel) == beside


@pytest.fixture
def training(dataset, tmp_path):
    """The folder of a run of `smoke` on the dataset's labels, which is going on."""
    from fiftyone_promerge.training import RECIPES, TrainingOptions
    from fiftyone_promerge.training.run.settings import Settings

    folder = tmp_path / "run"
    logs = folder / "round_0" / "csv" / "version_0"
    logs.mkdir(parents=True)
    settings = Settings(TrainingOptions().to_dict(), RECIPES["smoke"], {})
    settings.save(folder / "run.json")
    (logs / "metrics.csv").write_text("loss,step\n4.5,2\n4.25,5\n,5\n3.")
    config = dataset.init_run(method="train_detector", output_dir=str(folder))
    dataset.register_run("labels_detector", config)
    dataset.register_run("of_someone_else", dataset.init_run())
    return folder


def test_loss_of_a_training_is_drawn_while_it_goes_on(shown, training):
    panel = shown()
    assert '"x": [3, 6]' in panel and '"y": [4.5, 4.25]' in panel
    assert '"name": "labels_detector"' in panel
    assert '{"text": "Iteration"}' in panel and '{"text": "Loss"}' in panel


def test_training_whose_folder_is_gone_has_no_curve(shown, training):
    shutil.rmtree(training)
    panel = shown()
    assert "1 mask on 1 image" in panel
    assert "Iteration" not in panel


def test_precision_and_the_latest_picture_are_shown_and_refreshed(shown, training):
    from PIL import Image

    from promerge_core.runs.locks import hold

    first = training / "round_0"
    (first / "validations.json").write_text('{"150": 0.125}')
    for name, colour in [("000150", "red"), ("000020", "blue")]:
        (first / "validation").mkdir(exist_ok=True)
        Image.new("RGB", (40, 20), colour).save(first / "validation" / f"{name}.png")
    with hold(training / "run.json"):
        panel = shown()
    assert '"x": [150], "y": [12.5]' in panel
    assert "labels_detector: labels and predictions side by side" in panel
    assert "data:image/jpeg;base64," in panel
    assert "TimerView" in panel and "#redraw" in panel
    assert "TimerView" not in shown(), "nobody trains there any more"
