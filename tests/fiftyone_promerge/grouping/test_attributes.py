import numpy as np
import pytest

from promerge_core import PromergeError


def test_masks_are_read_in_batches_and_samples_without_any_are_passed_over(
    with_vectors, two_clouds, monkeypatch
):
    import fiftyone as fo

    from fiftyone_promerge.grouping import attributes

    dataset = with_vectors(two_clouds)
    dataset.add_samples([fo.Sample("/none.png"), fo.Sample("/empty.png", promerge=fo.Detections())])
    monkeypatch.setattr(attributes, "_SAMPLES", 3)
    batches = list(attributes.mask_batches(dataset, "promerge", ["label", "nobody_has_it"]))
    assert [len(ids) for ids, _ in batches] == [30, 10]
    ids, values = attributes.read_masks(dataset, "promerge", ["label", "nobody_has_it"])
    assert ids == [one for ids, _ in batches for one in ids]
    assert values == {"label": ["object"] * 40, "nobody_has_it": [None] * 40}


def test_attributes_are_written_to_their_masks(with_vectors, two_clouds, monkeypatch):
    import fiftyone as fo

    from fiftyone_promerge.grouping import attributes

    monkeypatch.setattr(attributes, "_WRITES", 7)
    dataset = with_vectors(two_clouds)
    ids, _ = attributes.read_masks(dataset, "promerge", [])
    attributes.write_masks(
        dataset, "promerge", {"rank": fo.IntField}, ids[::-1], {"rank": list(range(40))}
    )
    assert dataset.values("promerge.detections.rank", unwind=True) == list(range(40))[::-1]


def test_a_field_without_masks_is_a_sentence(make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.grouping.attributes import read_masks

    dataset = make_dataset()
    dataset.add_sample(fo.Sample("/a.png", promerge=fo.Detections()))
    with pytest.raises(PromergeError, match="'promerge' has no masks; make some"):
        read_masks(dataset, "promerge", [])


def test_an_attribute_of_a_person_that_is_not_declared_is_not_replaced(with_vectors):
    from fiftyone_promerge.grouping.attributes import check_attribute

    dataset = with_vectors(np.eye(4))
    sample = dataset.first()
    sample.promerge.detections[0]["rank"] = "mine"
    sample.save()
    assert not dataset.has_field("promerge.detections.rank")
    with pytest.raises(PromergeError, match=r"'rank' of the masks .* was not made here"):
        check_attribute(dataset, "promerge", "rank", "key")


def test_a_run_of_another_attribute_is_not_replaced(with_vectors):
    from fiftyone_promerge.grouping.attributes import check_attribute, record

    dataset = with_vectors(np.eye(4))
    assert check_attribute(dataset, "promerge", "rank", "key") is None
    record(dataset, "key", "promerge", "rank", made_by="test")
    assert check_attribute(dataset, "promerge", "rank", "key")["made_by"] == "test"
    with pytest.raises(PromergeError, match=r"'other' of the masks .* was not made here"):
        check_attribute(dataset, "promerge", "other", "key")


def test_what_made_the_vectors_or_else_the_masks_is_known(dataset, small_model):
    import fiftyone_promerge as fop
    from fiftyone_promerge.grouping.attributes import record, vectors_key, vectors_made_by

    assert vectors_made_by(dataset, "promerge") == {}
    fop.generate_masks(dataset, small_model, "promerge", num_workers=0)
    assert vectors_made_by(dataset, "promerge") == {"backbone": "embedded", "weights": None}
    key = vectors_key("promerge", "embedding")
    record(dataset, key, "promerge", "embedding", backbone="dino_vits8", weights="a.pth")
    assert vectors_made_by(dataset, "promerge") == {"backbone": "dino_vits8", "weights": "a.pth"}
