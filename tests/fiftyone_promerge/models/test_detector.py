"""A trained detector as a FiftyOne model."""

from __future__ import annotations

import dataclasses

import pytest


@pytest.fixture
def dataset(dataset):
    """Four of the photos."""
    dataset.delete_samples(dataset.values("id")[4:])
    return dataset


def test_a_broken_image_is_skipped_and_the_others_are_not(dataset, checkpoint, broken, one_thread):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset.add_sample(fo.Sample(filepath=broken))
    model = fop.load_detector(checkpoint, device="cpu")
    summary = fop.generate_masks(dataset, model, "found", batch_size=5, num_workers=0)
    assert [image.path for image in summary.skipped] == [broken]
    assert [label is not None for label in dataset.values("found")] == [True] * 4 + [False]


def test_predictions_carry_the_names_of_their_classes(dataset, checkpoint, one_thread, tiny_recipe):
    import torch

    import fiftyone_promerge as fop
    from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint, save_checkpoint
    from fiftyone_promerge.training.data.labelling import Labelling
    from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN

    torch.manual_seed(0)
    labelling = Labelling(("cat", "mug"))
    stored = read_checkpoint(checkpoint)
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0], stored.architecture, labelling=labelling)
    values = dataclasses.replace(stored, model=model.state_dict(), labelling=labelling)
    save_checkpoint(checkpoint, values)
    detector = fop.load_detector(checkpoint, device="cpu")
    fop.generate_masks(dataset, detector, "written", num_workers=0)
    dataset.apply_model(detector, label_field="applied")
    for field in ("written", "applied"):
        assert set(dataset.count_values(f"{field}.detections.label")) == {"cat", "mug"}


def test_a_field_of_another_detector_is_not_mixed_with(dataset, checkpoint, one_thread, tmp_path):
    import fiftyone_promerge as fop
    from fiftyone_promerge.fields import FieldError

    model = fop.load_detector(checkpoint, device="cpu")
    fop.generate_masks(dataset[:2], model, "found", num_workers=0)
    assert fop.generate_masks(dataset[:2], model, "found", num_workers=0).images == 0
    from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint, save_checkpoint

    changed = dataclasses.replace(read_checkpoint(checkpoint), metrics={"AP": 1.0})
    save_checkpoint(checkpoint, changed)
    other = fop.load_detector(checkpoint, device="cpu")
    with pytest.raises(FieldError, match="were made with sha256"):
        fop.generate_masks(dataset, other, "found", num_workers=0)
