"""One image under inspection, against the model's own results."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image
from skimage import data

from promerge_core import ImageError, ProMerge, ProMergeConfig, load_backbone

CONFIG = ProMergeConfig(image_size=160)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).resize((300, 200)).save(path)
    return path


@pytest.fixture
def inspect(database, photo):
    from fiftyone_promerge.inspection.inspect_image import Source, inspect_image

    return lambda config=CONFIG: inspect_image(Source(str(photo), "embedded", None), config)


def test_accepted_masks_are_those_that_the_generator_makes(inspect, photo):
    inspection = inspect()
    masks = ProMerge(load_backbone("embedded"), CONFIG).generate([Image.open(photo)])[0]
    assert len(masks) == int(inspection.accepted.sum()) > 0
    expected = sorted(mask.facts["refine_iou"] for mask in masks)
    assert sorted(inspection.refine_iou[inspection.accepted].tolist()) == expected


def test_features_are_computed_once_until_the_file_changes(inspect, photo):
    from fiftyone_promerge.inspection import inspect_image as module

    before = module._features.cache_info().misses
    first = inspect()
    again = inspect()
    other = inspect(ProMergeConfig(image_size=160, seed_stride=8))
    assert again is first
    assert other.image is first.image
    assert len(other.explanation.prompts) < len(first.explanation.prompts)
    assert module._features.cache_info().misses == before + 1
    Image.fromarray(data.chelsea()).resize((300, 200)).save(photo)
    os.utime(photo, ns=(1, 1))
    assert not np.array_equal(inspect().image.pixels, first.image.pixels)


@pytest.mark.parametrize("content", [None, b"no image"])
def test_image_that_cannot_be_read_is_an_image_error(inspect, photo, content):
    photo.unlink()
    if content is not None:
        photo.write_bytes(content)
    with pytest.raises(ImageError, match=r"coffee\.png"):
        inspect()


def test_maps_are_stored_in_fields_of_the_sample(inspect, photo, make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.inspection.inspect_image import store_maps

    dataset = make_dataset()
    sample = fo.Sample(filepath=str(photo))
    dataset.add_sample(sample)
    inspection = inspect()
    fields = store_maps(sample, inspection, 3)
    assert fields == [
        "promerge_affinity",
        "promerge_background",
        "promerge_proposals",
        "promerge_instances",
    ]
    sample.reload()
    explanation = inspection.explanation
    assert np.allclose(sample.promerge_affinity.map, explanation.affinities[3])
    assert sample.promerge_affinity.range == [-1, 1]
    majority = sample.promerge_background.map > 0.5
    assert np.array_equal(majority, explanation.stages.background)
    proposals = sample.promerge_proposals.mask
    assert np.array_equal(proposals > 0, explanation.stages.kept.any(0))
    instances = sample.promerge_instances.mask
    accepted = inspection.refined[inspection.accepted]
    assert np.array_equal(instances > 0, accepted.any(0))
    for number, mask in enumerate(accepted.numpy(), start=1):
        assert not (instances == number)[~mask].any()


def test_field_of_another_type_is_not_overwritten(inspect, photo, make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.fields import FieldError
    from fiftyone_promerge.inspection.inspect_image import store_maps

    dataset = make_dataset()
    sample = fo.Sample(filepath=str(photo), promerge_instances="mine")
    dataset.add_sample(sample)
    with pytest.raises(FieldError, match="promerge_instances"):
        store_maps(sample, inspect(), 0)
    assert sample.promerge_instances == "mine"
    assert not dataset.has_field("promerge_affinity")


def test_maps_of_a_person_are_never_replaced(inspect, photo, make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.fields import FieldError
    from fiftyone_promerge.inspection.inspect_image import store_maps

    dataset = make_dataset()
    first, second = (fo.Sample(filepath=str(photo.with_name(name))) for name in ("a.png", "b.png"))
    second["promerge_proposals"] = fo.Segmentation(mask=np.ones((2, 2), np.uint8))
    dataset.add_samples([first, second])
    for sample in (first, second):
        with pytest.raises(FieldError, match=r"holds maps .* never replaced; rename it, .*'my_pro"):
            store_maps(sample, inspect(), 0)
    assert not dataset.has_field("promerge_affinity")
    assert second.promerge_proposals.mask.shape == (2, 2)
    second["promerge_proposals"] = None
    second.save()
    for prompt in (0, 5):
        store_maps(first, inspect(), prompt)
    first.reload()
    assert np.allclose(first.promerge_affinity.map, inspect().explanation.affinities[5])


def test_a_backbone_that_failed_is_tried_again_later(database, photo, tmp_path, monkeypatch):
    from fiftyone_promerge.inspection import inspect_image as inspection
    from promerge_core.backbones.base import BackboneError

    weights = tmp_path / "weights.safetensors"
    source = inspection.Source(photo, "dino_vits16", str(weights))
    with pytest.raises(BackboneError, match="no weights file") as first:
        inspection.inspect_image(source, ProMergeConfig())
    weights.write_bytes(b"no weights")
    with pytest.raises(BackboneError) as second:
        inspection.inspect_image(source, ProMergeConfig())
    assert second.value is first.value
    monkeypatch.setattr(inspection, "_REMEMBERED_S", 0)
    with pytest.raises(BackboneError, match="not a readable"):
        inspection.inspect_image(source, ProMergeConfig())
