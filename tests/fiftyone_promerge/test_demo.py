"""The demo's photos and dataset; see cli/test_demo.py for the command."""

from __future__ import annotations

import importlib.util

import pytest
from PIL import Image

from promerge_core import PromergeError


@pytest.fixture
def demo(database):
    import fiftyone_promerge.demo

    return fiftyone_promerge.demo


def test_the_photos_are_real_and_there(demo):
    photos = demo.demo_photos()
    assert len(set(photos)) == 8
    for path in photos:
        with Image.open(path) as photo:
            assert min(photo.size) > 200


def test_without_the_photos_their_package_is_named(demo, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="skimage is not installed"):
        demo.demo_photos()


@pytest.mark.parametrize(
    ("backbone", "field"),
    [("embedded", "promerge_embedded"), ("timm:vit_small.dino", "promerge_timm_vit_small_dino")],
)
def test_each_backbone_has_a_field_of_its_own(demo, backbone, field):
    assert demo.demo_field(backbone) == field
    assert field.isidentifier()


def test_the_dataset_is_kept_and_one_of_an_old_installation_replaced(demo):
    import fiftyone as fo

    dataset = demo.demo_dataset()
    dataset.set_values("note", ["kept"] * 8)
    assert demo.demo_dataset().values("note") == ["kept"] * 8
    dataset.delete_sample_field("note")
    old = [path.replace("/site-packages/", "/old/") for path in dataset.values("filepath")]
    dataset.set_values("filepath", old)
    again = demo.demo_dataset()
    assert again.persistent and len(again) == 8 and again.values("filepath") != old
    fo.delete_dataset(demo.DATASET)


def add_photo(dataset):
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath="/mine.png"))


@pytest.mark.parametrize(
    "change",
    [
        add_photo,
        lambda dataset: dataset.set_values("note", ["mine"] * 8),
        lambda dataset: dataset.limit(1).tag_samples("mine"),
    ],
)
def test_what_a_person_added_to_the_dataset_is_not_deleted(demo, change):
    import fiftyone as fo

    dataset = demo.demo_dataset()
    dataset.set_values("filepath", [f"/old/{path}" for path in dataset.values("filepath")])
    change(dataset)
    with pytest.raises(PromergeError, match="holds other photos or fields than the demo's; rename"):
        demo.demo_dataset()
    assert fo.dataset_exists(demo.DATASET)
    fo.delete_dataset(demo.DATASET)
