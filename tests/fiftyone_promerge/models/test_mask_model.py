"""A mask model inside FiftyOne's own apply_model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from promerge_core import ImageError

PARAMETERS = {"image_size": 64, "seed_stride": 2}

SPAWN = """
import sys
import torch.multiprocessing
import fiftyone as fo
import fiftyone_promerge as fop

if __name__ == "__main__":
    torch.multiprocessing.set_start_method("spawn")
    torch.set_num_threads(1)
    model = fop.load_model(backbone="embedded", device="cpu", image_size=64, seed_stride=2)
    dataset = fo.load_dataset(sys.argv[1])
    dataset.apply_model(model, label_field="spawned", batch_size=2, num_workers=1)
    print(model.summary.images, len(model.summary.skipped))
"""


@pytest.fixture
def dataset(make_dataset, photos):
    """The six photos."""
    made = make_dataset()
    made.add_images(photos)
    return made


def masks_of(samples, field="promerge"):
    """Every detection as a mask of its whole image, image by image; None without a label."""
    from fiftyone_promerge.labels import detection_to_mask

    found = []
    for path, label in zip(samples.values("filepath"), samples.values(field), strict=True):
        with Image.open(path) as image:
            size = image.size
        found.append(label and [detection_to_mask(one, *size) for one in label.detections])
    return found


def same(found, expected):
    return len(found) == len(expected) and all(
        (a is None) == (b is None) and np.array_equal(a or [], b or [])
        for a, b in zip(found, expected, strict=True)
    )


@pytest.fixture
def expected(small_model, photos):
    """The masks that the core makes of the photos."""
    results = small_model.generator.generate([Image.open(path) for path in photos])
    return [[mask.to_array() for mask in masks] for masks in results]


# Images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
def test_masks_are_the_cores(dataset, small_model, expected, num_workers):
    dataset.apply_model(small_model, label_field="promerge", batch_size=4, num_workers=num_workers)
    assert sum(map(len, expected)) >= 5
    assert same(masks_of(dataset), expected)


def test_spawned_workers_give_the_same(dataset, small_model, expected, tmp_path, broken):
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath=broken))
    dataset.persistent = True
    script = tmp_path / "spawn.py"
    script.write_text(SPAWN)
    done = subprocess.run(
        [sys.executable, str(script), dataset.name],
        cwd=Path(__file__).parents[3],
        env=None,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "6 1"
    dataset.reload()
    assert same(masks_of(dataset[:6], "spawned"), expected)
    assert dataset.last()["spawned"] is None


def test_detections_carry_score_and_facts(dataset, small_model):
    dataset.apply_model(small_model, label_field="promerge", batch_size=3, num_workers=0)
    detections = [one for label in dataset.values("promerge.detections") for one in label]
    assert detections
    for detection in detections:
        assert detection.label == "object"
        assert 0 < detection.confidence <= 1
        assert detection.votes >= 1
        assert 0.5 <= detection.refine_iou <= 1
        assert -1 <= detection.background_similarity <= 1
    for label in dataset.values("promerge.detections"):
        scores = [one.confidence for one in label]
        assert scores == sorted(scores, reverse=True)


def test_the_reason_for_no_masks_is_stored(dataset, small_model):
    dataset.apply_model(small_model, label_field="promerge", batch_size=3, num_workers=0)
    reasons = dataset.values("promerge.reason")
    assert reasons[3] == "no_proposals"
    counts = dataset.values("promerge.detections")
    assert [reason is None for reason in reasons] == [len(found) > 0 for found in counts]
    assert small_model.summary.reasons["no_proposals"] == 1


def test_only_the_views_samples_are_labelled(dataset, small_model, expected):
    view = dataset.limit(2)
    view.apply_model(small_model, label_field="promerge", batch_size=8, num_workers=0)
    assert same(masks_of(dataset), [*expected[:2], None, None, None, None])
    assert small_model.summary.images == 2


def test_a_second_call_replaces_the_labels(dataset, small_model, expected):
    for _ in range(2):
        dataset.apply_model(small_model, label_field="promerge", batch_size=8, num_workers=0)
    assert same(masks_of(dataset), expected)
    assert small_model.summary.images == 6


@pytest.mark.parametrize("batch_size", [1, None])
def test_without_batches_the_masks_are_the_same(dataset, small_model, expected, batch_size):
    dataset.apply_model(small_model, label_field="promerge", batch_size=batch_size, num_workers=0)
    assert same(masks_of(dataset), expected)


def test_one_image_can_be_predicted_by_hand(small_model, photos, expected):
    with Image.open(photos[0]) as image:
        for arg in (image, np.asarray(image)):
            label = small_model.predict(arg)
            assert len(label.detections) == len(expected[0]) > 0


# Broken images -----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_image_skips_only_itself(
    dataset, small_model, expected, broken, tmp_path, num_workers
):
    import fiftyone as fo

    dataset.add_samples([fo.Sample(filepath=broken), fo.Sample(filepath=str(tmp_path / "no.jpg"))])
    view = dataset.select(
        [dataset.values("id")[index] for index in (0, 6, 1, 7, 2, 3, 4, 5)], ordered=True
    )
    view.apply_model(small_model, label_field="promerge", batch_size=4, num_workers=num_workers)
    assert same(masks_of(dataset[:6]), expected)
    assert dataset[6:8].values("promerge") == [None, None]
    assert small_model.summary.images == 6
    assert [image.path for image in small_model.summary.skipped] == dataset[6:8].values("filepath")
    assert "not an image" in small_model.summary.skipped[0].why
    assert "no such file" in small_model.summary.skipped[1].why


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_image_raises_where_failures_are_not_skipped(
    dataset, small_model, broken, num_workers
):
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath=broken))
    with pytest.raises(ImageError, match="not an image"):
        dataset.apply_model(
            small_model,
            label_field="promerge",
            batch_size=4,
            num_workers=num_workers,
            skip_failures=False,
        )


# Masks on disk -----------------------------------------------------------------------------------


def test_masks_may_go_to_files(dataset, small_model, expected, tmp_path):
    dataset.apply_model(
        small_model,
        label_field="promerge",
        batch_size=4,
        num_workers=0,
        output_dir=str(tmp_path / "masks"),
    )
    detections = [one for label in dataset.values("promerge.detections") for one in label]
    paths = [Path(one.mask_path) for one in detections]
    assert all(one.mask is None for one in detections)
    assert sorted(paths) == sorted((tmp_path / "masks").rglob("*.png"))
    assert len(set(paths)) == len(detections) == sum(map(len, expected))
    assert same(masks_of(dataset), expected)


# Patches -----------------------------------------------------------------------------------------


def test_masks_of_patches_land_in_the_whole_images(dataset, small_model):
    import fiftyone as fo

    boxes = [[[0.1, 0.1, 0.85, 0.5], [0.0, 0.0, 1.0, 1.0]], [], [[0.25, 0.5, 0.75, 0.5]]]
    for sample, own in zip(dataset, boxes, strict=False):
        detections = [fo.Detection(label="x", bounding_box=box) for box in own]
        sample["ground_truth"] = fo.Detections(detections=detections)
        sample.save()
    patches = dataset.to_patches("ground_truth")
    patches.apply_model(small_model, label_field="promerge", batch_size=2, num_workers=0)

    found = masks_of(dataset)
    for path, own, masks in zip(dataset.values("filepath")[:3], boxes, found, strict=False):
        image = np.asarray(Image.open(path))
        height, width = image.shape[:2]
        pasted = []
        for x, y, w, h in own:
            rows = slice(round(y * height), round((y + h) * height))
            columns = slice(round(x * width), round((x + w) * width))
            for mask in small_model.generator.generate([image[rows, columns]])[0]:
                canvas = np.zeros((height, width), bool)
                canvas[rows, columns] = mask.to_array()
                pasted.append(canvas)
        assert np.array_equal(masks or [], pasted)
    assert len(found[0]) > 0
    assert found[1] is None
    assert found[3:] == [None, None, None]
    assert small_model.summary.images == 3
    assert dataset.values("ground_truth.detections.label")[0] == ["x", "x"]


def test_patches_may_be_done_twice_and_skip_broken_images(dataset, small_model, broken):
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath=broken))
    for sample in dataset:
        box = fo.Detection(label="x", bounding_box=[0, 0, 1, 1])
        sample["ground_truth"] = fo.Detections(detections=[box])
        sample.save()
    counts = []
    for _ in range(2):
        patches = dataset.to_patches("ground_truth")
        patches.apply_model(small_model, label_field="promerge", batch_size=3, num_workers=2)
        counts.append([label and len(label.detections) for label in dataset.values("promerge")])
        assert len(small_model.summary.skipped) == 1
    assert counts[0] == counts[1]
    assert sum(filter(None, counts[0])) >= 5


# Videos ------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")
@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not on the PATH")
def test_frames_of_a_video_are_labelled(make_dataset, small_model, photos, tmp_path):
    import fiftyone as fo

    from fiftyone_promerge.fields import FieldError

    frame = cv2.resize(cv2.imread(photos[0]), (96, 64), interpolation=cv2.INTER_NEAREST)
    path = str(tmp_path / "video.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 5, (96, 64))
    assert writer.isOpened()
    for _ in range(3):
        writer.write(frame)
    writer.release()
    dataset = make_dataset()
    dataset.add_sample(fo.Sample(filepath=path))
    dataset.apply_model(small_model, label_field="frames.promerge", batch_size=2)
    labels = [frame["promerge"] for frame in dataset.first().frames.values()]
    assert len(labels) == 3
    assert all(len(label.detections) > 0 for label in labels)
    assert dataset.get_run_info("frames_promerge").config.method == "promerge"

    dataset.apply_model(small_model, label_field="promerge", batch_size=2)
    frame = dataset.first().frames.first()
    frame["promerge"] = fo.Detections(detections=[fo.Detection(label="drawn")])
    frame.save()
    with pytest.raises(FieldError, match=r"'frames\.promerge' holds labels that were not made"):
        dataset.apply_model(small_model, label_field="promerge", batch_size=2)


# Labels of others --------------------------------------------------------------------------------


def test_apply_model_does_not_replace_labels_made_elsewhere(dataset, small_model):
    import fiftyone as fo

    from fiftyone_promerge.fields import FieldError

    for sample in dataset.iter_samples(autosave=True):
        cat = fo.Detection(label="cat", bounding_box=[0, 0, 1, 1])
        sample["truth"] = fo.Detections(detections=[cat])
    patches = dataset.to_patches("truth")
    for samples in (dataset, dataset.limit(2), patches):
        with pytest.raises(FieldError, match="write to another field, for example 'promerge'"):
            samples.apply_model(small_model, label_field="truth", num_workers=0)
    assert dataset.distinct("truth.detections.label") == ["cat"]
    assert not dataset.list_runs()


def test_apply_model_replaces_its_own_labels(dataset, small_model):
    for _ in range(2):
        dataset.apply_model(small_model, label_field="promerge", num_workers=0)
    assert len(dataset.exists("promerge")) == 6


# The record --------------------------------------------------------------------------------------


def test_the_run_is_recorded_in_the_dataset(dataset, small_model, broken):
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath=broken))
    dataset.apply_model(small_model, label_field="promerge", batch_size=4, num_workers=0)
    record = dataset.get_run_info("promerge").config
    assert (record.method, record.backbone, record.weights) == ("promerge", "embedded", None)
    assert record.parameters == small_model.generator.config.to_dict()
    assert record.parameters["image_size"] == 64
    assert record.label_field == "promerge"
    assert record.version
    assert record.summary["images"] == 6
    assert record.summary["reasons"] == {"no_proposals": 1}
    assert record.summary["skipped_count"] == 1
    assert record.summary["skipped"][0]["path"] == broken
    assert record.summary["seconds"]["backbone"] > 0


def test_a_later_run_of_the_field_replaces_the_record(dataset, small_model, one_thread):
    import fiftyone_promerge as fop

    dataset.apply_model(small_model, label_field="promerge", batch_size=4, num_workers=0)
    other = fop.load_model("embedded", device="cpu", merge_overlap=0.4, **PARAMETERS)
    dataset.limit(1).apply_model(other, label_field="promerge", batch_size=4, num_workers=0)
    assert dataset.list_runs() == ["promerge"]
    record = dataset.get_run_info("promerge").config
    assert record.parameters["merge_overlap"] == 0.4
    assert record.summary["images"] == 1
