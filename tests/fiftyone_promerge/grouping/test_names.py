import numpy as np
import pytest


@pytest.fixture
def named(dataset, small_model):
    """Masks in two groups by colour."""
    import fiftyone_promerge as fop

    fop.generate_masks(dataset, small_model, "promerge", num_workers=0)
    fop.embed_masks(dataset, "promerge", backbone="embedded")
    fop.group_masks(dataset, "promerge", method="kmeans", groups=2)
    return dataset


def test_every_mask_has_a_vector_and_a_group_and_keeps_its_label(named):
    vectors = [one for own in named.values("promerge.detections.embedding") for one in own or []]
    assert {(vector.shape, vector.dtype) for vector in vectors} == {((11,), np.dtype("float32"))}
    groups = [one for own in named.values("promerge.detections.group") for one in own or []]
    assert len(groups) == len(vectors) and set(groups) == {0, 1}
    assert named.distinct("promerge.detections.label") == ["object"]


def test_a_second_run_does_only_what_is_missing_and_a_broken_image_is_skipped(named):
    import fiftyone_promerge as fop

    assert fop.embed_masks(named, "promerge", backbone="embedded").masks == 0
    sample = next(one for one in named if one.promerge and one.promerge.detections)
    sample.promerge.detections[0]["embedding"] = None
    sample.save()
    said = []
    summary = fop.embed_masks(named, "promerge", backbone="embedded", announce=said.append)
    assert summary.images == 1 and said[0].startswith("1 vectors of 11 numbers")


def test_a_persons_labels_and_tags_stay_and_names_can_be_changed(named):
    import fiftyone_promerge as fop

    sample = next(one for one in named if one.promerge and one.promerge.detections)
    sample.promerge.detections[0].label = "mine"
    sample.save()
    fop.name_groups(named, "promerge", {0: "a", 1: "-"})
    fop.name_groups(named, "promerge", {0: "b"})
    assert set(named.distinct("promerge.detections.label")) <= {"b", "mine", "object"}
    assert named.count_values("promerge.detections.label")["mine"] == 1
    assert "not_object" in named.distinct("promerge.detections.tags")


@pytest.mark.parametrize(
    ("names", "message"),
    [({0: "x" * 300}, "1 to 100 printable"), ({9: "x"}, "there is no group 9")],
)
def test_a_bad_name_or_group_is_a_sentence(named, names, message):
    import fiftyone_promerge as fop
    from promerge_core import PromergeError

    with pytest.raises(PromergeError, match=message):
        fop.name_groups(named, "promerge", names)


def test_an_attribute_that_was_not_made_here_is_not_replaced(dataset, small_model):
    import fiftyone as fo

    import fiftyone_promerge as fop
    from promerge_core import PromergeError

    fop.generate_masks(dataset, small_model, "promerge", num_workers=0)
    dataset.add_sample_field("promerge.detections.embedding", fo.StringField)
    with pytest.raises(PromergeError, match="was not made here"):
        fop.embed_masks(dataset, "promerge", backbone="embedded")


def test_a_persons_attributes_of_these_names_are_never_written(named):
    import fiftyone_promerge as fop
    from fiftyone_promerge.fields import FieldError

    def mine(name, value):
        path = f"promerge.detections.{name}"
        counts = [len(own or []) for own in named.values("promerge.detections.id")]
        named.set_values(path, [[value] * count for count in counts])
        return lambda: set(named.distinct(path)) == {value}

    confidence_is_mine = mine("label_confidence", 0.25)
    fop.name_groups(named, "promerge", {0: "a"})
    assert confidence_is_mine()
    sample = next(one for one in named if one.promerge and len(one.promerge.detections) > 1)
    sample.promerge.detections[0].label, sample.promerge.detections[1].label = "cup", "mug"
    sample.save()
    with pytest.raises(FieldError, match=r"'label_confidence' .* was not made here"):
        fop.spread_labels(named, "promerge")
    assert confidence_is_mine()
    named.delete_run("promerge_named")
    named_is_mine = mine("named", "by me")
    with pytest.raises(FieldError, match=r"'named' .* was not made here"):
        fop.name_groups(named, "promerge", {0: "b"})
    assert named_is_mine()
