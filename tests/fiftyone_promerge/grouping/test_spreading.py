import pytest

from promerge_core import PromergeError


@pytest.fixture
def embedded(dataset, small_model):
    import fiftyone_promerge as fop

    fop.generate_masks(dataset, small_model, "promerge", num_workers=0)
    fop.embed_masks(dataset, "promerge", backbone="embedded")
    return dataset


def test_labels_spread_persons_labels_stay_and_the_doubtful_come_first(embedded):
    import fiftyone_promerge as fop

    sample = next(one for one in embedded if one.promerge and len(one.promerge.detections) > 1)
    for mask, label in zip(sample.promerge.detections, ("one", "other"), strict=False):
        mask.label = label
    sample.save()
    done = fop.spread_labels(embedded, "promerge", threshold=0)
    assert done.labelled == 2 and done.doubtful == 0 and done.spread > 0
    assert set(embedded.distinct("promerge.detections.label")) == {"one", "other"}
    margins = fop.doubtful_masks(embedded, "promerge").values("promerge.label_margin")
    assert len(margins) == done.spread and margins == sorted(margins)
    # What we labelled ourselves is no person's label in the next run.
    assert fop.spread_labels(embedded, "promerge", threshold=1).labelled == 2
    assert embedded.count_values("promerge.detections.label")["object"] > 0


def test_names_of_groups_stay_teach_when_asked_to_and_replace_what_was_spread(
    with_vectors, two_clouds
):
    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    fop.group_masks(dataset, "promerge")
    fop.name_groups(dataset, "promerge", {0: "many"})
    sample = dataset.last()
    sample.promerge.detections[0].label = "few"
    sample.save()
    with pytest.raises(PromergeError, match="at least two are set; there are: few"):
        fop.spread_labels(dataset, "promerge")
    done = fop.spread_labels(dataset, "promerge", from_names=True, threshold=0)
    assert (done.labelled, done.spread) == (26, 14)
    assert dataset.count_values("promerge.detections.label") == {"many": 25, "few": 15}
    # The labels that were spread teach nothing, and a group's name replaces them.
    assert fop.spread_labels(dataset, "promerge", from_names=True, threshold=0).labelled == 26
    assert fop.name_groups(dataset, "promerge", {1: "rare"}) == {"rare": 14}
    assert dataset.count("promerge.detections.label_confidence") == 0
    assert dataset.count_values("promerge.detections.label") == {"many": 25, "rare": 14, "few": 1}


def test_without_labels_there_is_nothing_to_spread(embedded):
    import fiftyone_promerge as fop

    with pytest.raises(PromergeError, match="at least two"):
        fop.spread_labels(embedded, "promerge")


def test_masks_without_tags_and_samples_without_masks_are_no_failure(with_vectors, two_clouds):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    sample = dataset.first()
    sample.promerge.detections[0].label = "one"
    sample.save()
    sample = dataset.last()
    sample.promerge.detections[0].label = "other"
    sample.save()
    dataset.add_sample(fo.Sample("/none.png"))
    dataset._sample_collection.update_many(
        {"promerge": {"$ne": None}}, {"$set": {"promerge.detections.$[].tags": None}}
    )
    dataset.reload()
    done = fop.spread_labels(dataset, "promerge", threshold=0)
    assert (done.labelled, done.spread) == (2, 38)
    labels = dataset.values("promerge.detections.label", unwind=True)[:40]
    assert labels == ["one"] * 25 + ["other"] * 15


def test_a_vector_that_is_not_finite_and_a_wrong_threshold_are_sentences(with_vectors, two_clouds):
    import fiftyone_promerge as fop

    two_clouds[3] = float("nan")
    with pytest.raises(PromergeError, match="1 of the vectors in 'embedding' are not finite"):
        fop.spread_labels(with_vectors(two_clouds), "promerge")
    with pytest.raises(PromergeError, match="threshold must be a finite number; got nan"):
        fop.spread_labels(with_vectors(two_clouds), "promerge", threshold=float("nan"))
