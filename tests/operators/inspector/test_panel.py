"""The inspector without a browser: what it says of bad values, patches and evaluations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from skimage import data


@pytest.fixture
def dataset(make_dataset, tmp_path):
    import fiftyone as fo

    path = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).resize((300, 200)).save(path)
    dataset = make_dataset()
    box = fo.Detection(label="cup", bounding_box=[0.3, 0.1, 0.4, 0.6])
    dataset.add_sample(fo.Sample(filepath=str(path), labels=fo.Detections(detections=[box])))
    return dataset


@pytest.fixture
def shown(dataset):
    """Draws the panel, beside a sample or not, and gives all that is in it as JSON."""
    import fiftyone.operators as foo

    from fiftyone_promerge.operators.inspector.panel import Inspector

    def draw(sample_id=None, view=None, **state):
        ctx = foo.ExecutionContext(
            {
                "dataset_name": dataset.name,
                "view": None if view is None else view._serialize(),
                "current_sample": sample_id,
                "params": {"panel_id": "inspector", "panel_state": {}},
            },
            executor=foo.executor.Executor(),
        )
        inspector = Inspector()
        inspector.on_load(ctx)
        small = {"image_size": 160, **state.pop("parameters", {})}
        for name, value in {**state, **{f"parameters.{k}": v for k, v in small.items()}}.items():
            ctx.panel.set_state(name, value)
        return json.dumps(inspector.render(ctx).to_json())

    return draw


def test_open_sample_is_explained(shown, dataset):
    shown_panel = shown(dataset.first().id)
    assert "prompts ask: what looks like me?" in shown_panel
    assert "data:image/jpeg;base64," in shown_panel


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("affinity_threshold", float("nan"), "must be a finite number"),
        ("affinity_threshold", None, "must be a finite number"),
        ("affinity_threshold", 3, "must be between -1.0 and 1.0"),
        ("seed_stride", "many", "must be a finite number"),
        ("score", "nonsense", "must be one of"),
        ("nonsense", 1, "has no parameter 'nonsense'"),
    ],
)
def test_bad_value_of_the_browser_is_one_sentence(shown, dataset, name, value, says):
    panel = shown(dataset.first().id, parameters={name: value})
    assert says in panel
    assert "data:image/jpeg" not in panel


def test_image_that_is_gone_is_one_sentence(shown, dataset):
    sample = dataset.first()
    Path(sample.filepath).unlink()
    assert f"{sample.filepath}: no such file" in shown(sample.id)


def test_patch_is_explained_by_its_whole_image(shown, dataset):
    patches = dataset.to_patches("labels")
    assert "prompts ask" in shown(patches.first().id, view=patches)


def test_sample_that_was_deleted_shows_the_dataset(shown, dataset):
    assert "1 masks on 1 images" in shown("0" * 24)


def test_parameters_are_those_that_made_the_field(shown, dataset):
    import fiftyone_promerge as fop

    model = fop.load_model("embedded", image_size=160, seed_stride=5, affinity_threshold=0.3)
    dataset.clear_sample_field("labels")
    dataset.delete_sample_field("labels")
    dataset.apply_model(model, "promerge")
    panel = shown(dataset.first().id)
    assert "Seed stride: 5" in panel
    assert "Affinity threshold: 0.3" in panel


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
    assert "1 masks on 1 images" in panel
    assert "Iteration" not in panel
