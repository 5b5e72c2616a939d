"""Shards into datasets and COCO json: the same masks as without the way around."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from promerge_core import ImageError, PromergeError, open_image
from promerge_core.runs.coco_json import skipped_row
from promerge_core.runs.local_run import CocoRun
from promerge_core.runs.shard_rows import shard_row
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.sources import find_images

SHARD_SIZE = 3


@pytest.fixture
def images(photos, broken, tmp_path):
    """A folder of the six photos and, in a subfolder, a file that is no image."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for path in photos:
        shutil.copy(path, folder)
    shutil.copy(broken, folder / "sub")
    return folder


@pytest.fixture
def shards(images, small_model, tmp_path):
    """The shards of a run of `small_model` over the images."""
    folder = ShardFolder(str(tmp_path / "shards"))
    entries = find_images(images)
    run = {**small_model.record(), "shard_size": SHARD_SIZE}
    folder.begin(json.loads(json.dumps(run)), str(images), len(entries))
    rows = []
    for entry in entries:
        try:
            masks = small_model.generator.generate([open_image(entry.path)])[0]
            rows.append(shard_row(entry.id, entry.file_name, masks))
        except ImageError as error:
            rows.append(skipped_row(entry.id, entry.file_name, str(error)))
    for number in folder.missing():
        folder.write(number, rows[number * SHARD_SIZE : (number + 1) * SHARD_SIZE])
    folder.finish()
    return folder


@pytest.fixture
def applied(images, small_model, make_dataset):
    """A dataset of the images with the masks that `apply_model` writes."""
    import fiftyone as fo

    dataset = make_dataset()
    dataset.add_samples(fo.Sample(filepath=str(entry.path)) for entry in find_images(images))
    dataset.apply_model(small_model, label_field="masks", batch_size=1, num_workers=0)
    return dataset


def labels(dataset, field):
    """Everything that a field holds, by file name, without the random ids."""
    found = {}
    for sample in dataset:
        label = sample[field]
        found[Path(sample.filepath).name] = label and (
            label.reason,
            [
                {
                    name: value.tolist() if isinstance(value, np.ndarray) else value
                    for name, value in detection.iter_fields()
                    if name != "id"
                }
                for detection in label.detections
            ],
        )
    return found


def test_an_import_writes_what_apply_model_writes(shards, applied, make_dataset):
    from fiftyone_promerge.generation.shards import import_shards

    dataset = make_dataset()
    done = []
    summary, unknown = import_shards(dataset, "masks", shards, progress=done.append)
    assert labels(dataset, "masks") == labels(applied, "masks")
    assert labels(dataset, "masks")["broken.jpg"] is None
    assert len(labels(dataset, "masks")["0.png"][1]) == 2
    assert (summary.images, len(summary.skipped), unknown, sum(done)) == (6, 1, 0, 7)
    assert dataset.values("coco_id") == list(range(1, 8))
    assert dataset.first().metadata.width == 90
    config = dataset.get_run_info("masks").config
    assert (config.backbone, config.summary["masks"]) == ("embedded", summary.masks)


def test_images_are_found_in_a_dataset_that_is_there(shards, applied):
    from fiftyone_promerge.generation.shards import import_shards

    applied.delete_samples(applied.limit(2).values("id"))
    summary, unknown = import_shards(applied, "imported", shards)
    assert labels(applied, "imported") == labels(applied, "masks")
    assert (len(applied), summary.images, unknown) == (5, 4, 2)


def test_images_may_lie_elsewhere_or_be_links(shards, images, applied, make_dataset, tmp_path):
    from fiftyone_promerge.generation.shards import import_shards

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in images.iterdir():
        (elsewhere / path.name).symlink_to(path)
    # The dataset has the files themselves, the folder links to them.
    import_shards(applied, "imported", shards, elsewhere)
    assert labels(applied, "imported") == labels(applied, "masks")
    dataset = make_dataset()
    import_shards(dataset, "masks", shards, elsewhere)
    assert dataset.first().filepath == str(elsewhere / "0.png")


def test_images_that_are_not_in_the_dataset_are_no_silent_success(shards, applied, tmp_path):
    from fiftyone_promerge.generation.shards import import_shards

    with pytest.raises(PromergeError, match="none of the 7 images is in the dataset, for example"):
        import_shards(applied, "imported", shards, tmp_path)
    assert not applied.has_field("imported")
    assert applied.list_runs() == ["masks"]


def test_a_folder_that_is_not_there_makes_no_samples(shards, make_dataset, tmp_path):
    from fiftyone_promerge.generation.shards import import_shards

    dataset = make_dataset()
    with pytest.raises(PromergeError, match=r"there is no folder .*none; say with --images-dir"):
        import_shards(dataset, "masks", shards, tmp_path / "none")
    assert len(dataset) == 0


def test_images_at_a_url_need_their_place_here(shards, make_dataset, images):
    from fiftyone_promerge.generation.shards import import_shards

    shards.begin(shards.read_run()["run"], "s3://bucket/images", 7)
    with pytest.raises(PromergeError, match="lie at s3://bucket/images; say with --images-dir"):
        import_shards(make_dataset(), "masks", shards)
    assert import_shards(make_dataset(), "masks", shards, images)[1] == 0


def test_masks_that_were_made_otherwise_are_not_overwritten(shards, applied, small_model):
    import fiftyone_promerge as fop
    from fiftyone_promerge.generation.shards import import_shards

    other = fop.load_model("embedded", device="cpu", image_size=64, seed_stride=3)
    applied.apply_model(other, label_field="other", num_workers=0)
    before = labels(applied, "other")
    with pytest.raises(PromergeError, match="were made with seed_stride 3, now it is 2"):
        import_shards(applied, "other", shards)
    assert labels(applied, "other") == before


def test_an_import_that_was_stopped_can_be_done_again(shards, applied, monkeypatch):
    from fiftyone_promerge.generation import shards as module

    def stop(images):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_BATCH_SIZE", 2)
    with pytest.raises(KeyboardInterrupt):
        module.import_shards(applied, "imported", shards, progress=stop)
    assert len(applied.exists("imported")) == 2
    module.import_shards(applied, "imported", shards)
    assert labels(applied, "imported") == labels(applied, "masks")


def test_an_import_that_was_stopped_while_it_added_samples_adds_the_others(
    shards, applied, make_dataset, monkeypatch
):
    from fiftyone_promerge.generation import shards as module

    def stop(images):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_BATCH_SIZE", 2)
    dataset = make_dataset()
    with pytest.raises(KeyboardInterrupt):
        module.import_shards(dataset, "masks", shards, progress=stop)
    assert len(dataset) == 2
    _, unknown = module.import_shards(dataset, "masks", shards)
    assert unknown == 0
    assert labels(dataset, "masks") == labels(applied, "masks")
    dataset.delete_samples(dataset.first().id)
    _, unknown = module.import_shards(dataset, "masks", shards)
    assert unknown == 1


def test_an_import_that_is_done_again_leaves_edited_labels_alone(shards, applied):
    import fiftyone as fo

    from fiftyone_promerge.generation.shards import import_shards

    import_shards(applied, "imported", shards)
    sample = applied.first()
    sample.imported.detections = [fo.Detection(label="drawn", bounding_box=[0, 0, 1, 1])]
    sample.save()
    ids = applied.values("imported.detections.id")
    import_shards(applied, "imported", shards)
    applied.reload()
    assert applied.values("imported.detections.id") == ids
    assert applied.first().imported.detections[0].label == "drawn"


def test_an_import_that_finds_no_image_keeps_the_record_of_the_field(shards, applied, tmp_path):
    from fiftyone_promerge.generation.shards import import_shards

    with pytest.raises(PromergeError, match="none of the 7 images is in the dataset"):
        import_shards(applied, "masks", shards, tmp_path)
    assert applied.list_runs() == ["masks"]


def test_an_import_into_labels_made_elsewhere_is_refused(shards, applied):
    import fiftyone as fo

    from fiftyone_promerge.generation.shards import import_shards

    applied.set_values("truth", [fo.Detections(detections=[fo.Detection(label="cat")])] * 7)
    with pytest.raises(PromergeError, match="not made here"):
        import_shards(applied, "truth", shards)
    assert applied.distinct("truth.detections.label") == ["cat"]


def test_a_run_into_the_dataset_goes_on_from_an_import(shards, applied, small_model):
    from fiftyone_promerge import generate_masks
    from fiftyone_promerge.generation.shards import import_shards

    import_shards(applied, "imported", shards)
    ids = applied.values("imported.detections.id")
    summary = generate_masks(applied, small_model, "imported", batch_size=1, num_workers=0)
    assert summary.images == 0
    assert applied.values("imported.detections.id") == ids


def run(*arguments):
    from fiftyone_promerge.cli.command import main

    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_exported_json_is_the_one_of_a_local_run(shards, images, small_model, tmp_path):
    entries = find_images(images)
    CocoRun(small_model.generator, entries, tmp_path / "local.json", {}, batch_size=1).run()
    assert run("export", shards.location, tmp_path / "shards.json").exit_code == 0
    local, exported = (
        json.loads((tmp_path / name).read_text()) for name in ("local.json", "shards.json")
    )
    assert exported.pop("info")["summary"]["masks"] == local.pop("info")["summary"]["masks"]
    assert exported == local
    assert len(local["annotations"]) > 5


def test_shards_make_a_dataset_that_stays(shards, applied, database):
    import fiftyone as fo

    name = f"cli-{uuid.uuid4().hex}"
    result = run("import", name, "masks", shards.location)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset(name)
    try:
        assert dataset.persistent
        assert labels(dataset, "masks") == labels(applied, "masks")
    finally:
        dataset.delete()


def test_a_command_on_what_are_no_shards_says_so(tmp_path, database):
    for command in (["import", "new", "masks", tmp_path], ["export", tmp_path, tmp_path / "a"]):
        result = run(*command)
        assert result.exit_code == 1
        words = " ".join(result.output.replace("│", " ").split())
        assert "holds no shards: there is no run.json" in words
