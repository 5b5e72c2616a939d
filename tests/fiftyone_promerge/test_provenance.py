"""How masks came to be, kept with the dataset."""

from __future__ import annotations


def test_what_made_a_field_is_found_by_the_field(dataset, small_model):
    from fiftyone_promerge.provenance import flatten_record, recorded_parameters, recorded_run

    dataset.limit(1).apply_model(small_model, label_field="masks", num_workers=0)
    record = small_model.record()
    assert recorded_run(dataset, "masks") == record
    assert recorded_run(dataset.limit(1), "masks") == record
    parameters = recorded_parameters(dataset, "masks")
    assert parameters == flatten_record(record)
    assert (parameters["backbone"], parameters["image_size"]) == ("embedded", 64)


def test_a_field_that_was_not_made_here_has_no_record(dataset):
    from fiftyone_promerge.provenance import recorded_parameters, recorded_run

    assert recorded_run(dataset, "masks") is None
    assert recorded_parameters(dataset, "masks") is None


def test_a_training_is_no_record_of_the_field_that_has_its_name(dataset, small_model):
    """Trainings on `masks` are kept under `masks_detector`, which may be a field as well."""
    from fiftyone_promerge import generate_masks
    from fiftyone_promerge.provenance import recorded_parameters, recorded_run

    config = dataset.init_run(method="train_detector", source={}, options={}, checkpoint=None)
    dataset.register_run("masks_detector", config)
    assert recorded_run(dataset, "masks_detector") is None
    assert recorded_parameters(dataset, "masks_detector") is None
    assert generate_masks(dataset, small_model, "masks_detector", num_workers=0).images == 6
