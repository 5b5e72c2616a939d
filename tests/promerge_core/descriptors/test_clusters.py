import numpy as np
import pytest

from promerge_core import PromergeError
from promerge_core.descriptors.clusters import find_groups, fit_groups


def clouds(*sizes, dims=8):
    random = np.random.default_rng(1)
    centres = 10 * np.eye(len(sizes), dims)
    vectors = [
        centre + random.normal(0, 1, (n, dims)) for centre, n in zip(centres, sizes, strict=False)
    ]
    return np.concatenate(vectors), np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("method", ["hdbscan", "kmeans"])
def test_groups_and_their_number_are_found_and_the_largest_is_0(method):
    vectors, truth = clouds(200, 120, 40)
    found = find_groups(vectors, method)
    assert found.group.tolist() == truth.tolist()
    assert found.confidence.min() >= 0 and found.confidence.max() <= 1


def test_a_vector_between_two_groups_is_doubtful():
    vectors, _ = clouds(100, 100, dims=4)
    between = (vectors[:100].mean(0) + vectors[100:].mean(0)) / 2
    found = find_groups(np.vstack([vectors, between]))
    assert found.confidence[-1] < 0.2 < 0.6 < np.median(found.confidence)


def test_kmeans_makes_as_many_groups_as_it_is_told():
    assert set(find_groups(clouds(50, 50)[0], "kmeans", 4).group) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.zeros((0, 3)), {}, "at least two masks with a vector; there are 0"),
        (np.zeros((1, 3)), {}, "at least two masks with a vector; there are 1"),
        (np.ones((9, 3)), {}, "all 9 vectors are equal"),
        (np.array([[1.0], [np.nan], [2.0]]), {}, "1 of the 3 vectors are not finite"),
        (np.eye(3), {"method": "kmeans", "groups": 4}, "between 1 and the number of masks, 3"),
        (np.eye(3), {"groups": 2}, "give groups with kmeans only"),
        (np.eye(3), {"method": "means"}, "method must be one of"),
    ],
)
def test_what_cannot_be_grouped_is_said_in_a_sentence(vectors, options, message):
    with pytest.raises(PromergeError, match=message):
        find_groups(vectors, **options)


def test_two_masks_are_two_groups_or_one_and_do_not_fail():
    for method in ("hdbscan", "kmeans"):
        assert len(find_groups(np.array([[0.0], [1.0]]), method).group) == 2


def test_vectors_that_were_not_fitted_are_assigned():
    vectors, truth = clouds(60, 40, 30, dims=100)
    found = fit_groups(vectors[::2]).assign(vectors).by_size()
    assert found.group.tolist() == truth.tolist()


def test_a_group_of_most_masks_is_divided_where_it_has_parts():
    random = np.random.default_rng(0)
    parts = [random.normal(at, 1, (n, 4)) for at, n in ((0, 160), (8, 140), (60, 100))]
    found = find_groups(np.concatenate(parts))
    assert np.bincount(found.group).tolist() == [160, 140, 100]


def test_where_nothing_is_dense_all_are_in_one_group():
    vectors = np.random.default_rng(0).normal(0, 1, (300, 4))
    assert set(find_groups(vectors).group) == {0}
