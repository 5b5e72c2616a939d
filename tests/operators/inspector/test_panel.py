"""The inspector without a browser: what it says of bad values, patches and evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest


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


def test_an_emptied_backbone_is_one_sentence(shown, dataset):
    assert "unknown backbone ''" in shown(dataset.first().id, **{"source.backbone": None})


def test_a_field_that_was_not_made_here_is_said_to_be(shown, dataset):
    panel = shown(dataset.first().id)
    assert "ProMerge did not make labels" in panel
    assert "Weights file" not in panel


def test_another_field_brings_its_own_weights_or_none(shown, dataset):
    panel = shown(dataset.first().id, source={"backbone": "dino_vits16", "weights": "/no/such.pth"})
    assert "/no/such.pth" in panel
    assert "Weights file" in panel


def test_image_that_is_gone_is_one_sentence(shown, dataset):
    sample = dataset.first()
    Path(sample.filepath).unlink()
    assert f"{sample.filepath}: no such file" in shown(sample.id)


def test_patch_is_explained_by_its_whole_image(shown, dataset):
    patches = dataset.to_patches("labels")
    assert "prompts ask" in shown(patches.first().id, view=patches)


def test_sample_that_was_deleted_shows_the_dataset(shown, dataset):
    assert "1 mask on 1 image" in shown("0" * 24)


def test_parameters_are_those_that_made_the_field(shown, dataset):
    import fiftyone_promerge as fop

    model = fop.load_model("embedded", image_size=160, seed_stride=5, affinity_threshold=0.3)
    dataset.clear_sample_field("labels")
    dataset.delete_sample_field("labels")
    dataset.apply_model(model, "promerge")
    panel = shown(dataset.first().id)
    assert "Seed stride: 5" in panel
    assert "Affinity threshold: 0.3" in panel
