import numpy as np
import pytest

from promerge_core import PromergeError


@pytest.mark.parametrize("method", ["hdbscan", "kmeans"])
def test_groups_found_in_a_sample_and_batches_are_those_of_all(
    with_vectors, two_clouds, monkeypatch, method
):
    import fiftyone_promerge as fop
    from fiftyone_promerge.grouping import attributes, groups

    monkeypatch.setattr(attributes, "_SAMPLES", 1)
    monkeypatch.setattr(groups, "MOST_FITTED", 30)
    dataset = with_vectors(two_clouds)
    assert fop.group_masks(dataset, "promerge", method=method) == {0: 25, 1: 15}
    assert dataset.values("promerge.detections.group", unwind=True) == [0] * 25 + [1] * 15
    confidence = dataset.values("promerge.detections.group_confidence", unwind=True)
    assert min(confidence) > 0.3 and max(confidence) <= 1
    assert dataset.distinct("promerge.detections.label") == ["object"]


def test_where_hdbscan_finds_no_groups_it_is_said(with_vectors):
    import fiftyone_promerge as fop

    said = []
    one_cloud = np.random.default_rng(0).normal(0, 1, (40, 4))
    assert fop.group_masks(with_vectors(one_cloud), announce=said.append) == {0: 40}
    assert said == [
        "hdbscan found no groups among the 40 masks, so all are in group 0; "
        "kmeans makes groups of any masks"
    ]


def test_groups_that_were_not_made_here_stay(with_vectors, two_clouds):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    dataset.add_sample_field("promerge.detections.group", fo.StringField)
    with pytest.raises(PromergeError, match=r"'group' .* was not made here"):
        fop.group_masks(dataset, "promerge")


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.eye(1), {}, "at least two masks with a vector; there are 1"),
        (np.ones((12, 4)), {}, "all 12 vectors are equal"),
        (np.full((12, 4), np.nan), {}, "12 of the vectors in 'embedding' are not finite"),
        (np.eye(4), {"method": "means"}, "method must be one of"),
        (np.eye(4), {"method": "kmeans", "groups": 5}, "between 1 and the number of masks, 4"),
        (np.eye(4), {"method": "kmeans", "groups": 0}, "between 1 and the number of masks, 4"),
    ],
)
def test_what_cannot_be_grouped_is_a_sentence_and_nothing_is_written(
    with_vectors, vectors, options, message
):
    import fiftyone_promerge as fop

    dataset = with_vectors(vectors)
    with pytest.raises(PromergeError, match=message):
        fop.group_masks(dataset, "promerge", **options)
    assert not dataset.has_field("promerge.detections.group") and not dataset.list_runs()
