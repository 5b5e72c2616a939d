import pytest

from promerge_core import PromergeError


@pytest.fixture
def grouped(with_vectors, two_clouds):
    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    fop.group_masks(dataset, "promerge", method="kmeans", groups=3)
    return dataset


def test_masks_join_another_group_also_by_way_of_a_third(grouped):
    import fiftyone_promerge as fop

    sizes = grouped.count_values("promerge.detections.group")
    assert fop.merge_groups(grouped, "promerge", {2: 1, 1: 0}) == sizes[1] + sizes[2]
    assert grouped.count_values("promerge.detections.group") == {0: 40}
    assert grouped.distinct("promerge.detections.label") == ["object"]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({7: 0}, "there is no group 7"),
        ({0: 7}, "there is no group 7"),
        ({0: 1, 1: 0}, "the groups 0, 1 join one another"),
        ({0: 0}, "the groups 0 join one another"),
    ],
)
def test_what_cannot_be_merged_is_a_sentence_and_nothing_is_written(grouped, pairs, message):
    import fiftyone_promerge as fop

    before = grouped.values("promerge.detections.group")
    with pytest.raises(PromergeError, match=message):
        fop.merge_groups(grouped, "promerge", pairs)
    assert grouped.values("promerge.detections.group") == before
