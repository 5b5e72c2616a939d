"""Which fields can be read and written, and what is said of the others."""

from __future__ import annotations

import pytest

from promerge_core import PromergeError
from promerge_core.errors import CocoError


@pytest.fixture
def fields(database):
    """The module under test; FiftyOne may be imported only once the database runs."""
    import fiftyone_promerge.fields

    return fiftyone_promerge.fields


@pytest.fixture
def mixed(make_dataset):
    """A dataset with a field of detections, one of classifications and one of numbers."""
    import fiftyone as fo

    dataset = make_dataset()
    sample = fo.Sample(filepath="a.png", masks=fo.Detections(), kind=fo.Classification(), size=1.5)
    dataset.add_sample(sample)
    return dataset


@pytest.mark.parametrize("name", ["masks", "Masks_2", "größe"])
def test_names_of_fields(fields, name):
    fields.check_field_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "1a", "_private", "a-b", "$a"])
def test_other_names_are_refused(fields, name):
    with pytest.raises(fields.FieldError, match="is no name for a field"):
        fields.check_field_name(name)


def test_fields_of_detections_are_found(fields, mixed):
    assert fields.detections_fields(mixed) == ["masks"]
    assert fields.detections_fields(mixed.limit(1)) == ["masks"]


def test_labels_may_be_written_to_new_fields_and_to_detections(fields, mixed):
    for samples in (mixed, mixed.limit(1)):
        fields.check_label_field(samples, "new")
        fields.check_label_field(samples, "masks")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kind", "'kind' holds Classification, not Detections"),
        ("size", "'size' holds FloatField, not Detections"),
        ("filepath", "'filepath' holds StringField, not Detections"),
        ("a b", "is no name for a field"),
    ],
)
def test_labels_are_not_written_to_other_fields(fields, mixed, name, said):
    with pytest.raises(fields.FieldError, match=said):
        fields.check_label_field(mixed, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "There is no field 'none'; the fields of Detections are: masks$"),
        ("masks.detections", "There is no field"),
        ("kind", "'kind' holds Classification, not Detections"),
        ("size", "'size' holds FloatField, not Detections"),
    ],
)
def test_detections_are_not_read_from_other_fields(fields, mixed, name, said):
    fields.check_detections_field(mixed, "masks")
    with pytest.raises(CocoError, match=said):
        fields.check_detections_field(mixed, name)


def test_a_dataset_without_detections_says_so(fields, make_dataset):
    with pytest.raises(CocoError, match="the fields of Detections are: none"):
        fields.check_detections_field(make_dataset(), "masks")


def test_a_dataset_is_opened_by_its_name(fields, mixed):
    assert fields.open_dataset(mixed.name) is mixed
    with pytest.raises(PromergeError, match=f"'nothing'; there are: .*{mixed.name}"):
        fields.open_dataset("nothing")


def test_a_free_name_is_found(fields, mixed):
    assert fields.free_field(mixed) == "promerge"
    assert fields.free_field(mixed, "masks") == "masks_2"


@pytest.mark.parametrize("key", ["label", "mask", "own"])
def test_an_evaluation_key_that_would_overwrite_something_is_refused(fields, mixed, key):
    import fiftyone as fo

    sample = mixed.first()
    sample.masks.detections = [fo.Detection(label="cat", own="undeclared")]
    sample.save()
    with pytest.raises(fields.FieldError, match=f"'{key}' would overwrite .*choose another key"):
        fields.check_eval_key(mixed, key, ["masks"])
    mixed.set_values("eval_tp", ["a number of mine"])
    with pytest.raises(fields.FieldError, match="would overwrite 'eval_tp'"):
        fields.check_eval_key(mixed, "eval", ["masks"], read_labels=False)
    fields.check_eval_key(mixed, "other", ["masks"])


def test_what_is_written_of_patches_are_their_images(fields, mixed):
    import fiftyone as fo

    sample = mixed.first()
    sample.masks.detections = [fo.Detection(bounding_box=[0, 0, 1, 1]) for _ in range(2)]
    sample.save()
    patches = mixed.to_patches("masks")
    assert fields.written_ids(patches) == [sample.id] * 2
    assert fields.written_samples(patches).values("id") == [sample.id]
    assert fields.written_samples(mixed) is mixed


def test_samples_are_counted_and_not_estimated(fields, mixed, monkeypatch):
    """MongoDB's estimate is wrong after its server was killed."""
    import fiftyone as fo

    monkeypatch.setattr(fo.Dataset, "_estimated_count", lambda *_, **__: 0)
    assert len(mixed) == 0
    assert fields.count_samples(mixed) == fields.count_samples(mixed.limit(5)) == 1
    assert fields.count_samples(mixed.limit(0)) == 0
