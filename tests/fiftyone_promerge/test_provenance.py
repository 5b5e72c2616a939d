"""The record of a run in its dataset, and what it lets a later run do."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from promerge_core import MaskCutConfig, ProMergeConfig, SkippedImage, Summary
from promerge_core.options import BackboneOptions, DeviceOptions, RunOptions


@pytest.fixture
def provenance(database):
    """The module under test; FiftyOne may be imported only once the database runs."""
    import fiftyone_promerge.provenance

    return fiftyone_promerge.provenance


@pytest.fixture
def register(provenance):
    """Registers a run as a model does."""
    from fiftyone_promerge.fiftyone_internals import ApplyModelCall

    def run(samples, field, record, summary=None, options=None):
        call = ApplyModelCall(samples, field, skip_failures=True)
        provenance.record_run(call, record, summary or Summary(), options or {})

    return run


@pytest.fixture
def record(provenance):
    return provenance.run_record("promerge", "embedded", None, ProMergeConfig())


def names(*configs):
    return {one.name for config in configs for one in config.parameters()}


# What is recorded --------------------------------------------------------------------------------


def test_a_record_comes_back_flat(provenance, dataset, record, register):
    register(dataset.limit(2), "masks", record)
    assert provenance.recorded_parameters(dataset.limit(1), "masks") == {
        "method": "promerge",
        "backbone": "embedded",
        "weights": None,
        **ProMergeConfig().to_dict(),
    }
    assert provenance.recorded_parameters(dataset, "other") is None


def test_every_option_of_a_run_is_in_its_record(dataset, small_model):
    import fiftyone_promerge as fop

    fop.generate_masks(dataset, small_model, "masks", batch_size=3, num_workers=0)
    config = dataset.get_run_info("masks").config
    assert config.options == {
        "device": "cpu",
        "dtype": "auto",
        "batch_size": 3,
        "num_workers": 0,
        "overwrite": False,
        "embeddings": False,
    }
    assert config.serialize().keys() | config.options.keys() >= names(BackboneOptions, RunOptions)


def test_options_of_apply_model_are_in_its_record(dataset, small_model):
    dataset.limit(1).apply_model(small_model, "masks", batch_size=5, num_workers=0)
    options = dataset.get_run_info("masks").config.options
    assert options == {"device": "cpu", "dtype": "auto", "batch_size": 5, "num_workers": 0}


def test_a_frame_field_has_a_record_too(dataset, record, register):
    register(dataset, "frames.masks", record)
    assert dataset.get_run_info("frames_masks").config.label_field == "frames.masks"


def test_only_a_hundred_skipped_images_are_named(dataset, record, register):
    skipped = [SkippedImage(f"{number}.jpg", "broken") for number in range(150)]
    register(dataset, "masks", record, Summary(skipped=skipped))
    stored = dataset.get_run_info("masks").config.summary
    assert (len(stored["skipped"]), stored["skipped_count"]) == (100, 150)


def test_what_made_a_field_is_found_by_the_field(dataset, small_model):
    from fiftyone_promerge.provenance import flatten_record, recorded_parameters, recorded_run

    dataset.limit(1).apply_model(small_model, label_field="masks", batch_size=3, num_workers=0)
    record = small_model.record()
    options = {"device": "cpu", "dtype": "auto", "batch_size": 3}
    assert recorded_run(dataset, "masks") == {**record, **options}
    assert recorded_run(dataset.limit(1), "masks") == {**record, **options}
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
    assert dataset.get_run_info("masks_detector").config.method == "train_detector"
    assert recorded_run(dataset, "masks_detector")["method"] == "promerge"
    assert generate_masks(dataset, small_model, "masks_detector", num_workers=0).images == 0


# What continues, and what does not ---------------------------------------------------------------


@pytest.fixture
def check(database):
    from fiftyone_promerge.provenance import check_same_parameters

    return check_same_parameters


@pytest.fixture
def field_error(database):
    from fiftyone_promerge.fields import FieldError

    return FieldError


def test_masks_of_the_same_parameters_may_be_added(dataset, record, register, check):
    for options in ({}, {"batch_size": 3}):
        register(dataset, "masks", record, options=options)
        check(dataset, record, "masks")


def test_a_run_recorded_without_options_continues(dataset, small_model):
    import fiftyone_promerge as fop

    run = {"model": small_model, "label_field": "masks", "num_workers": 0}
    fop.generate_masks(dataset.limit(2), batch_size=2, **run)
    older = {
        name: value
        for name, value in dataset.get_run_info("masks").config.serialize().items()
        if name not in ("cls", "type", "options")
    }
    dataset.register_run("masks", dataset.init_run(**older), overwrite=True)
    assert not hasattr(dataset.get_run_info("masks").config, "options")
    assert fop.generate_masks(dataset, batch_size=2, **run).images == 4
    assert dataset.get_run_info("masks").config.options["batch_size"] == 2


def test_a_run_continues_with_other_options(dataset, small_model):
    import fiftyone_promerge as fop

    fop.generate_masks(dataset.limit(2), small_model, "masks", batch_size=1, num_workers=0)
    small_model.options = {"device": "cpu", "dtype": "bfloat16"}
    assert fop.generate_masks(dataset, small_model, "masks", batch_size=2, num_workers=0).images
    options = dataset.get_run_info("masks").config.options
    assert (options["batch_size"], options["dtype"]) == (2, "bfloat16")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backbone": "dino_vitb8"}, "made with backbone embedded, now it is dino_vitb8"),
        ({"weights": "a.pth"}, r"made with weights None, now it is a\.pth"),
        ({"config": ProMergeConfig(merge_overlap=0.4)}, "merge_overlap 0.5, now it is 0.4"),
        ({"method": "maskcut", "config": MaskCutConfig()}, "method promerge, now it is maskcut"),
    ],
)
def test_masks_of_others_may_not(
    provenance, dataset, record, register, check, field_error, changes, said
):
    register(dataset, "masks", record)
    made_by = {"method": "promerge", "backbone": "embedded", "weights": None}
    other = provenance.run_record(**{**made_by, "config": ProMergeConfig(), **changes})
    with pytest.raises(field_error, match=said):
        check(dataset, other, "masks")


def test_labels_without_a_record_are_somebody_elses(dataset, record, check, field_error):
    import fiftyone as fo

    dataset.add_sample_field("masks", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    check(dataset, record, "masks")
    sample = dataset.first()
    sample["masks"] = fo.Detections()
    sample.save()
    with pytest.raises(field_error, match="labels that were not made here"):
        check(dataset, record, "masks")


# The header of a run into a file -----------------------------------------------------------------


def test_the_header_of_a_json_has_the_options_that_decide(photos, tmp_path):
    from fiftyone_promerge.cli.command import main

    output = tmp_path / "masks.json"
    flags = ["--backbone", "embedded", "--image-size", "64", "--workers", "0"]
    done = CliRunner().invoke(main, ["generate", photos[0], "--output", str(output), *flags])
    assert done.exit_code == 0, done.output
    header = json.loads(output.read_text())["info"]["run"]
    for config in (BackboneOptions, DeviceOptions, RunOptions):
        for one in config.parameters():
            assert (one.name in header) == one.decides, one.name


# What may be replaced -----------------------------------------------------------------------------


def test_only_labels_that_were_made_here_may_be_replaced(
    provenance, dataset, small_model, field_error
):
    import fiftyone as fo

    provenance.check_replaceable(dataset, "masks")
    dataset.apply_model(small_model, label_field="masks", num_workers=0)
    provenance.check_replaceable(dataset, "masks")
    sample = dataset.last()
    sample["masks"] = fo.Detections(detections=[fo.Detection(label="drawn")])
    sample.save()
    provenance.check_made_here(dataset, "masks")
    provenance.check_replaceable(dataset.limit(5), "masks")
    with pytest.raises(field_error, match="for example 'promerge'"):
        provenance.check_replaceable(dataset, "masks")


def test_a_copy_of_ours_is_not_known_to_be_ours(provenance, dataset, small_model, field_error):
    dataset.apply_model(small_model, label_field="promerge", num_workers=0)
    dataset.clone_sample_field("promerge", "copy")
    for check in (provenance.check_made_here, provenance.check_replaceable):
        with pytest.raises(field_error, match="for example 'promerge_2'"):
            check(dataset.limit(1), "copy")
