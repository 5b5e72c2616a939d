"""The writer past FiftyOne's documents against FiftyOne's own writing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId
from bson.errors import InvalidDocument

from promerge_core import ImageMasks


@pytest.fixture
def writer(database):
    from fiftyone_promerge.generation.writing import MaskWriter

    return MaskWriter


def stored(dataset, field):
    """What the database holds of a field, without the ids of the detections."""
    documents = []
    for sample in dataset._sample_collection.find({}, sort=[("filepath", 1)]):
        document = sample[field]
        for detection in document["detections"]:
            assert isinstance(detection.pop("_id"), ObjectId)
        documents.append(document)
    return documents


def test_the_database_holds_what_fiftyone_would_have_written(dataset, small_model):
    import fiftyone_promerge as fop

    dataset.apply_model(small_model, "theirs", batch_size=2, num_workers=0)
    fop.generate_masks(dataset, small_model, "ours", batch_size=2, num_workers=0)
    theirs, ours = stored(dataset, "theirs"), stored(dataset, "ours")
    assert ours == theirs
    assert [list(document) for document in ours] == [list(document) for document in theirs]
    assert {len(document["detections"]) > 0 for document in ours} == {True, False}
    paths = [path.partition(".") for path in dataset.get_field_schema(flat=True)]
    theirs, ours = (
        [rest for root, _, rest in paths if root == name] for name in ("theirs", "ours")
    )
    assert ours == theirs and len(ours) > 5


def test_samples_in_memory_know_their_new_labels_and_when_they_changed(dataset, small_model):
    import fiftyone_promerge as fop

    sample = dataset.first()
    before = sample.last_modified_at
    fop.generate_masks(dataset, small_model, "masks", num_workers=0)
    assert len(sample.masks.detections) > 0
    assert sample.last_modified_at > before


def test_other_fields_are_left_alone(dataset, small_model):
    import fiftyone_promerge as fop

    dataset.set_values("note", ["kept"] * 6)
    fop.generate_masks(dataset, small_model, "masks", num_workers=0)
    assert dataset.values("note") == ["kept"] * 6


def test_the_model_returns_labels_again_after_the_run(dataset, small_model):
    import fiftyone_promerge as fop

    fop.generate_masks(dataset, small_model, "masks", num_workers=0)
    dataset.apply_model(small_model, "again", num_workers=0)
    assert dataset.count("again.detections") == dataset.count("masks.detections") > 0


@pytest.mark.parametrize("is_last", [True, False])
def test_a_batch_that_cannot_be_written_is_not_passed_over(dataset, writer, is_last):
    unwritable = ImageMasks([], 4, 3, reason=object())
    with pytest.raises(InvalidDocument), writer(dataset, "masks") as opened:
        opened.write({dataset.first().id: unwritable})
        if not is_last:
            opened.write({dataset.last().id: ImageMasks([], 4, 3)})
            pytest.fail("the second batch was taken")


def test_a_deleted_sample_is_passed_over(dataset, writer):
    first, second = dataset.values("id")[:2]
    dataset.delete_samples([first])
    with writer(dataset, "masks") as opened:
        opened.write({first: ImageMasks([], 4, 3), second: ImageMasks([], 4, 3)})
    assert len(dataset) == 5
    assert dataset.exists("masks").values("id") == [second]


def test_nothing_written_declares_no_field(dataset, writer):
    with writer(dataset, "masks") as opened:
        opened.write({})
    assert not dataset.has_field("masks")


def test_runs_that_add_fields_at_once_keep_each_others(dataset, writer, monkeypatch):
    import fiftyone as fo

    # As in the App's server: each run has an object of its own.
    monkeypatch.setattr(fo.config, "singleton_cache", False)
    fields = [f"masks{number}" for number in range(8)]
    objects = [fo.load_dataset(dataset.name) for _ in fields]
    barrier, sample_id = threading.Barrier(len(fields)), dataset.first().id

    def run(loaded, field):
        with writer(loaded, field) as opened:
            barrier.wait()
            opened.write({sample_id: ImageMasks([], 4, 3)})

    with ThreadPoolExecutor(len(fields)) as pool:
        list(pool.map(run, objects, fields))
    assert set(fields) <= fo.load_dataset(dataset.name).get_field_schema().keys()
