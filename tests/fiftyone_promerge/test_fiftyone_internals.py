"""What we use of FiftyOne's inside, against real datasets: a test per name; and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import bson
import numpy as np
import pytest
from bson import ObjectId
from pymongo import UpdateOne


@pytest.fixture
def internals(database):
    """The module under test; FiftyOne may be imported only once the database runs."""
    from fiftyone_promerge import fiftyone_internals

    return fiftyone_internals


@pytest.fixture
def labelled(dataset):
    """The six photos, the first two with two labels each."""
    import fiftyone as fo

    for sample in dataset[:2]:
        boxes = [fo.Detection(label="x", bounding_box=[0, 0, side, 1]) for side in (0.5, 1)]
        sample["boxes"] = fo.Detections(detections=boxes)
        sample.save()
    return dataset


def set_note(sample_id, text):
    return UpdateOne({"_id": ObjectId(sample_id)}, {"$set": {"note": text}})


def test_every_view_leads_to_its_dataset(internals, labelled):
    patches = labelled.limit(3).to_patches("boxes")
    for samples in (labelled, labelled.limit(2), patches, patches.limit(1)):
        assert internals.root_dataset(samples) is labelled


def test_patches_alone_are_generated(internals, labelled):
    assert not internals.is_generated(labelled)
    assert not internals.is_generated(labelled.limit(2))
    assert internals.is_generated(labelled.to_patches("boxes").limit(1))


def test_a_serialized_view_is_that_view_again(internals, labelled):
    import fiftyone as fo

    view = labelled.skip(1).limit(2)
    again = fo.DatasetView._build(labelled, internals.serialized_view(view))
    assert again.values("id") == view.values("id")


def test_the_call_of_apply_model_is_found_from_inside_a_model(internals, dataset, small_model):
    calls = []
    predict = small_model.predict_prepared

    def noticing(images):
        calls.append(internals.current_apply_model_call())
        return predict(images)

    small_model.predict_prepared = noticing
    view = dataset.limit(1)
    view.apply_model(
        small_model, label_field="masks", batch_size=3, num_workers=0, skip_failures=False
    )
    (call,) = calls
    assert call.samples.values("id") == view.values("id")
    assert (call.label_field, call.skip_failures) == ("masks", False)
    assert call.arguments.items() >= {"batch_size": 3, "num_workers": 0}.items()
    assert call.arguments.keys().isdisjoint(call._fields)
    assert internals.current_apply_model_call() is None


def test_written_samples_are_reloaded_in_memory(internals, dataset):
    import fiftyone as fo

    dataset.add_sample_field("note", fo.StringField)
    first, second = dataset.first(), dataset[1:2].first()
    internals.write_samples(dataset.limit(1), {first.id: set_note(first.id, "new")})
    assert (first.note, second.note) == ("new", None)


def test_samples_written_unseen_are_new_after_a_reload(internals, dataset):
    import fiftyone as fo

    dataset.add_sample_field("note", fo.StringField)
    first = dataset.first()
    internals.write_unseen(dataset, [set_note(first.id, "new")])
    assert dataset.values("note")[0] == "new"
    assert first.note is None
    dataset.reload()
    assert first.note == "new"


def test_a_document_past_fiftyones_classes_is_read_as_its_label(internals, dataset):
    import fiftyone as fo

    mask = np.array([[True, False, True], [False, True, True]])
    values = {"label": "x", "bounding_box": [0, 0.25, 0.5, 0.5], "mask": mask, "confidence": 0.5}
    theirs = fo.Detections(detections=[fo.Detection(**values, votes=2.0)], reason="why")
    document = internals.detections_document([{**values, "votes": 2.0}], reason="why")
    expected = theirs.to_dict()
    ids = [one["detections"][0].pop("_id") for one in (document, expected)]
    assert all(isinstance(one, ObjectId) for one in ids) and ids[0] != ids[1]
    assert bson.decode(bson.encode(document)) == bson.decode(bson.encode(expected))

    dataset.add_sample_field("masks", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    sample = dataset.first()
    written = internals.detections_document([values] * 2)
    update = UpdateOne({"_id": ObjectId(sample.id)}, {"$set": {"masks": written}})
    internals.write_samples(dataset, {sample.id: update})
    found = dataset.first().masks.detections
    assert len({one.id for one in found}) == 2
    assert all(np.array_equal(one.mask, mask) and one.confidence == 0.5 for one in found)


def test_labels_pushed_beside_their_class_are_read(internals, dataset):
    import fiftyone as fo

    dataset.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    sample = dataset.first()
    box = fo.Detection(label="x", bounding_box=[0, 0, 1, 1])
    update = UpdateOne(
        {"_id": ObjectId(sample.id)},
        {
            "$push": {"boxes.detections": {"$each": [box.to_dict()]}},
            "$set": internals.label_class("boxes", fo.Detections),
        },
    )
    internals.write_samples(dataset, {sample.id: update})
    assert internals.label_class("boxes", fo.Detections) == {
        "boxes._cls": fo.Detections().to_dict()["_cls"]
    }
    assert isinstance(dataset.first().boxes, fo.Detections)
    assert dataset.first().boxes.detections[0].bounding_box == [0, 0, 1, 1]


# No other module -------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("promerge_core", "fiftyone_promerge", "operators", "training")
OTHERS = {
    *("_asdict", "_fields", "_replace"),  # of every NamedTuple
    *("_gts", "_dts", "_paramsEval"),  # of pycocotools, which reads no annotations from memory
    *("_target_", "_value_"),  # of detectron2's lazy configs and Enum
    *("_BatchNorm", "_shape_as_tensor"),  # of PyTorch
}
"""Names with an underscore, read from other objects than `self`, that are not FiftyOne's."""


def private_names(path: Path) -> Iterator[str]:
    """What a module reads that begins with an underscore and is neither its own nor Python's."""
    tree = ast.parse(path.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if node.attr.startswith("_") and not of_self and node.attr not in own | OTHERS:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fiftyone."):
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from {"_cls", "_sample_id"} & {node.value.rpartition(".")[2]}


def test_no_other_module_uses_a_private_name_of_fiftyone():
    used = {
        str(path.relative_to(ROOT)): names
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (names := {name for name in private_names(path) if not is_dunder(name)})
    }
    assert used.pop("fiftyone_promerge/fiftyone_internals.py") == {
        *("_root_dataset", "_is_generated", "_dataset", "_bulk_write", "_sample_collection"),
        *("_cls", "_serialize"),
    }
    assert used == {}


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
