"""Loading ProMerge and MaskCut as FiftyOne models."""

from __future__ import annotations

import pytest

from promerge_core import BackboneError, ConfigError


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "cutler"}, ConfigError, "method must be one of promerge, maskcut"),
        ({"merge_overlap": 3}, ConfigError, "merge_overlap must be between 0.0 and 1.0; got 3"),
        ({"threshold": 0.5}, ConfigError, "no parameter 'threshold'"),
        ({"backbone": "resnet50"}, BackboneError, "unknown backbone 'resnet50'"),
        ({"weights": "none.pth"}, BackboneError, "embedded"),
        ({"device": "gpu"}, BackboneError, "device 'gpu' cannot be used"),
        ({"dtype": "int8"}, BackboneError, "dtype must be one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_loaded_is_refused_in_words(database, arguments, error, message):
    import fiftyone_promerge as fop

    with pytest.raises(error, match=message):
        fop.load_model(**{"backbone": "embedded", **arguments})


def test_parameters_are_checked_before_the_backbone_is_loaded(database):
    import fiftyone_promerge as fop

    with pytest.raises(ConfigError):
        fop.load_model(backbone="no such backbone", merge_overlap=3)


def test_maskcut_labels_a_dataset_too(dataset, one_thread):
    import fiftyone_promerge as fop

    model = fop.load_model("embedded", method="maskcut", device="cpu", image_size=64)
    dataset.apply_model(model, label_field="maskcut", batch_size=3, num_workers=0)
    assert model.summary.images == 6
    assert dataset.get_run_info("maskcut").config.method == "maskcut"
