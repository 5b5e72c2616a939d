"""Detectors from a view's masks, and their masks back in the dataset."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("tiny_recipe")


def add_images(dataset, folder, count=4, field="boxes"):
    """Images with one box each; the last has none, the first a crowd as well."""
    import fiftyone as fo

    for number in range(count):
        image = np.full((50, 70, 3), 20 + number, np.uint8)
        image[10:40, 10 + number : 30 + number] = 220
        path = str(folder / f"{number}.png")
        Image.fromarray(image).save(path)
        detections = []
        if number < count - 1:
            box = [(10 + number) / 70, 0.2, 20 / 70, 0.6]
            mask = np.ones((30, 20), bool)
            detections.append(fo.Detection(label="object", bounding_box=box, mask=mask))
        if number == 0:
            mask = np.ones((5, 7), bool)
            crowd = fo.Detection(bounding_box=[0, 0, 0.1, 0.1], mask=mask, iscrowd=1)
            detections.append(crowd)
        sample = fo.Sample(filepath=path)
        sample[field] = fo.Detections(detections=detections)
        dataset.add_sample(sample)
    return dataset


@pytest.fixture
def dataset(make_dataset, tmp_path):
    return add_images(make_dataset(), tmp_path)


@pytest.fixture
def train(database, one_thread):
    """train_detector with what all these tests have in common."""
    from fiftyone_promerge import train_detector

    options = {"recipe": "tiny", "weights": "random", "num_workers": 0}
    return lambda samples, field="boxes", **more: train_detector(
        samples, field, **{**options, **more}
    )


def test_records_are_the_views_masks_pixel_by_pixel(dataset):
    from fiftyone_promerge.detectors import view_records
    from fiftyone_promerge.labels import detection_to_mask

    dataset.compute_metadata()
    records = list(view_records(dataset, "boxes"))
    assert [record.key for record in records] == dataset.values("id")
    assert [record.path for record in records] == dataset.values("filepath")
    assert [len(record.masks) for record in records] == [1, 1, 1, 0]
    assert [len(record.crowds) for record in records] == [1, 0, 0, 0]
    for record, sample in zip(records, dataset, strict=True):
        for mask, detection in zip(record.masks, sample.boxes.detections, strict=False):
            assert np.array_equal(mask.to_array(), detection_to_mask(detection, 70, 50))


def test_records_of_classes_have_names_and_boxes_and_leave_out_what_is_no_object(dataset):
    import fiftyone as fo

    from fiftyone_promerge.detectors import view_records

    dataset.compute_metadata()
    box = [0.1, 0.2, 0.5, 0.5]
    sample = dataset.first()
    sample["boxes"] = fo.Detections(
        detections=[
            fo.Detection(label="mug", bounding_box=box, mask=np.ones((25, 35), bool)),
            fo.Detection(label="cat", bounding_box=box),
            fo.Detection(label="object", bounding_box=box, tags=["not_object"]),
        ]
    )
    sample.save()
    first, *others = view_records(dataset, "boxes", "label")
    assert [mask.label for mask in first.masks] == ["mug"]
    assert [(mask.label, mask.bbox) for mask in first.boxes] == [("cat", (7.0, 10.0, 35.0, 25.0))]
    assert {mask.label for record in others for mask in record.masks} == {"object"}
    with pytest.raises(ValueError, match="has no class: its kind is None"):
        list(view_records(dataset, "boxes", "kind"))


def test_ground_truth_without_classes_is_refused_before_the_training(dataset, train, tmp_path):
    with pytest.raises(ValueError, match="ground truth 'boxes' has no 'kind', the attribute of"):
        train(dataset, output_dir=tmp_path / "run", classes="kind", gt_field="boxes")
    assert not (tmp_path / "run").exists()


def test_train_predict_and_the_labels_of_a_round(dataset, train, tmp_path):
    import fiftyone_promerge as fop
    from fiftyone_promerge.inspection.statistics import training_curves
    from fiftyone_promerge.training import read_results

    calls = []
    checkpoint = train(
        dataset,
        output_dir=tmp_path / "run",
        gt_field="boxes",
        progress=lambda *call: calls.append(call),
    )
    # Once after each iteration, and once while the second round's labels were made.
    assert [call[:2] for call in calls] == [(1, 2), (1, 2), (2, 2)]

    # Nothing is as sure as 0.99 after one step, so the second round's labels are the first's.
    assert dataset.count("boxes_round1") == 4
    new, old = (
        [[one.mask.tolist() for one in label.detections if not getattr(one, "iscrowd", 0)]
         for label in dataset.values(field)]
        for field in ("boxes_round1", "boxes")
    )  # fmt: skip
    assert new == old

    run = dataset.get_run_info("boxes_detector").config
    assert run.checkpoint == str(checkpoint)
    assert run.source == {"dataset": dataset.name, "field": "boxes", "images": 4}
    assert run.options["recipe"] == "tiny"
    rows = read_results(tmp_path / "run")
    assert {(row["round"], row["of"], row["against"]) for row in rows} == {
        (0, "detector", "labels of round 0"),
        (1, "labels", "labels of round 0"),
        (1, "detector", "labels of round 0"),
        *[(n, of, "ground truth") for n in (0, 1) for of in ("labels", "detector")],
    }
    # The labels are the ground truth here.
    assert {round(row["AP"], 6) for row in rows if row["of"] == "labels"} == {1}
    curves = training_curves(dataset.limit(1))
    assert [*curves] == ["boxes_detector"] and [*curves["boxes_detector"]] == [1, 2]

    model = fop.load_detector(checkpoint, device="cpu")
    dataset.apply_model(model, label_field="found", batch_size=3, num_workers=2)
    record = dataset.get_run_info("found").config
    assert (record.method, record.weights) == ("detector", str(checkpoint))
    images = [np.asarray(Image.open(path)) for path in dataset.values("filepath")]
    expected = model.detector.predict(images[:3]) + model.detector.predict(images[3:])
    for sample, masks in zip(dataset, expected, strict=True):
        detections = sample.found.detections
        assert [one.confidence for one in detections] == [mask.score for mask in masks]
        for detection, mask in zip(detections, masks, strict=True):
            height, width = detection.mask.shape
            x, y = (
                round(side * of) for side, of in zip(detection.bounding_box, (70, 50), strict=False)
            )
            assert np.array_equal(detection.mask, mask.to_array()[y : y + height, x : x + width])
            assert detection.mask.sum() == mask.area


def test_labels_of_a_round_are_not_mixed_with_others(dataset, train, tmp_path):
    import fiftyone as fo

    from fiftyone_promerge.fields import FieldError
    from fiftyone_promerge.training import RECIPES

    one, other = tmp_path / "one", tmp_path / "other"
    mine = [fo.Detections(detections=[fo.Detection(label="mine")])] * 4
    dataset.set_values("boxes_round1", mine)
    with pytest.raises(FieldError, match="'boxes_round1' holds labels that this training did not"):
        train(dataset, output_dir=one)
    assert dataset.distinct("boxes_round1.detections.label") == ["mine"]
    assert not one.exists()

    dataset.delete_sample_field("boxes_round1")
    # The same numbers under another name are a recipe of one's own; it is recorded whole.
    mine = dataclasses.replace(RECIPES["tiny"], name="mine")
    train(dataset, output_dir=one, recipe=mine)
    assert dataset.get_run_info("boxes_detector").config.options["recipe"]["name"] == "mine"
    before = dataset.values("boxes_round1.detections.id")
    train(dataset, output_dir=one, recipe=mine)
    assert dataset.values("boxes_round1.detections.id") == before
    with pytest.raises(FieldError, match="rename or delete the field"):
        train(dataset, output_dir=other)
    train(dataset, output_dir=other, rounds=1)


TORCHRUN = """
import json, os, sys
from fiftyone_promerge.training.recipes import RECIPES, Recipe
RECIPES["tiny"] = Recipe.from_dict(json.loads(sys.argv[1]))
if os.environ["RANK"] != "0":
    os.environ["FIFTYONE_DATABASE_URI"] = "mongodb://127.0.0.1:1"
from fiftyone_promerge.cli import main
main(sys.argv[2:])
"""


def test_torchrun_needs_the_database_in_its_first_process_alone(dataset, tmp_path):
    from fiftyone_promerge.training.recipes import RECIPES

    dataset.persistent = True
    script = tmp_path / "train.py"
    script.write_text(TORCHRUN)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(script), json.dumps(RECIPES["tiny"].to_dict())]
    command += ["train", dataset.name, "--field=boxes", "--recipe=tiny", "--weights=random"]
    command += ["--workers=0", "--rounds=1", f"--output={tmp_path / 'run'}"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    detector = tmp_path / "run" / "round_0" / "detector.pt"
    assert detector.exists()
    assert done.stdout.count(f"The detector is {detector}") == 1
    assert done.stdout.count("On the 1 validation images, in percent") == 1
    dataset.reload()
    assert dataset.get_run_info("boxes_detector").config.checkpoint == str(detector)


def test_a_stopped_training_keeps_what_is_done(dataset, train, tmp_path):
    def stop(done, total, metrics):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        train(dataset, output_dir=tmp_path / "run", rounds=1, progress=stop)
    assert dataset.get_run_info("boxes_detector").config.checkpoint is None
    checkpoint = train(dataset, output_dir=tmp_path / "run", rounds=1)
    assert dataset.get_run_info("boxes_detector").config.checkpoint == str(checkpoint)


def test_a_refused_training_changes_nothing_in_the_dataset(dataset, train, tmp_path):
    from promerge_core import PromergeError

    checkpoint = train(dataset, output_dir=tmp_path / "run")
    dataset.delete_sample_field("boxes_round1")
    dataset.delete_run("boxes_round1")
    runs, fields = dataset.list_runs(), list(dataset.get_field_schema())
    with pytest.raises(PromergeError, match="was begun with images 4, now it is 3"):
        train(dataset.limit(3), output_dir=tmp_path / "run")
    assert (dataset.list_runs(), list(dataset.get_field_schema())) == (runs, fields)
    assert dataset.get_run_info("boxes_detector").config.checkpoint == str(checkpoint)
    with pytest.raises(PromergeError, match="there is no weights file"):
        train(dataset, output_dir=tmp_path / "other", weights="gone.pth")
    assert dataset.get_run_info("boxes_detector").config.checkpoint == str(checkpoint)


def test_a_training_and_a_field_of_its_name_keep_each_its_record(
    dataset, train, tmp_path, small_model
):
    from fiftyone_promerge import generate_masks
    from fiftyone_promerge.provenance import recorded_run

    generate_masks(dataset, small_model, "boxes_detector", num_workers=0)
    made_by = recorded_run(dataset, "boxes_detector")
    checkpoint = train(dataset, output_dir=tmp_path / "run", rounds=1)
    assert recorded_run(dataset, "boxes_detector") == made_by
    assert dataset.get_run_info("boxes_detector_2").config.checkpoint == str(checkpoint)
    generate_masks(dataset, small_model, "boxes_detector", num_workers=0, overwrite=True)
    train(dataset, output_dir=tmp_path / "run", rounds=1)
    assert sorted(dataset.list_runs()) == ["boxes_detector", "boxes_detector_2"]


# Bad input --------------------------------------------------------------------------------------


def test_bad_views_are_one_sentence(dataset, train, tmp_path):
    import fiftyone as fo

    from promerge_core import PromergeError

    empty = dataset.clone()
    for sample in empty:
        sample.boxes = fo.Detections()
        sample.save()
    boxes = dataset.clone()
    sample = boxes.first()
    sample.boxes.detections[0].mask = None
    sample.save()
    thin = dataset.clone()
    for sample in thin.iter_samples(autosave=True):
        for detection in sample.boxes.detections:
            detection.mask = np.zeros(detection.mask.shape, bool)
    cases = [
        (dataset, "nothing", "There is no field 'nothing'"),
        (dataset, "filepath", "holds StringField, not Detections"),
        (dataset.limit(1), "boxes", "1 of the 1 images have masks: training needs at least two"),
        (dataset.limit(0), "boxes", "0 of the 0 images have masks"),
        (empty, "boxes", "0 of the 4 images have masks"),
        (thin, "boxes", "0 of the 4 images have masks"),
        (boxes, "boxes", "has no mask: a detector is trained on masks"),
    ]
    for number, (view, field, message) in enumerate(cases):
        with pytest.raises(PromergeError, match=message) as caught:
            train(view, field, output_dir=tmp_path / f"run{number}")
        assert "\n" not in str(caught.value)
    for clone in (empty, boxes, thin):
        clone.delete()


def test_the_command_turns_bad_input_into_one_sentence(dataset, tmp_path):
    dataset.persistent = True
    (tmp_path / "detector.pt").write_text("words")
    commands = [
        (["train", "no-such-dataset"], "there is no FiftyOne dataset 'no-such-dataset'"),
        (["train", dataset.name, "--weights", "gone.pth"], "there is no weights file at gone.pth"),
        (["predict", dataset.name, "--checkpoint", "gone.pt"], "no checkpoint at gone.pt"),
        (["predict", dataset.name, "--checkpoint", "detector.pt"], "detector.pt"),
    ]
    script = (
        "import sys, rich_click\n"
        "from fiftyone_promerge.cli import main\n"
        "for command in eval(sys.argv[1]):\n"
        "    try:\n"
        "        main(command, standalone_mode=False)\n"
        "    except rich_click.ClickException as error:\n"
        "        print(error.message)\n"
    )
    arguments = []
    for command, _ in commands:
        extra = ["--field", "boxes", "--output", "run"] if command[0] == "train" else []
        arguments.append(command + extra)
    done = subprocess.run(
        [sys.executable, "-c", script, repr(arguments)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    lines = [line for line in done.stdout.splitlines() if line != "Computing metadata..."]
    assert len(lines) == len(commands), done.stdout + done.stderr
    for line, (_, message) in zip(lines, commands, strict=True):
        assert message in line
