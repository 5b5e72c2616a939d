import numpy as np
import pytest

from promerge_core import PromergeError
from promerge_core.descriptors.spreading import learn_labels


def test_a_few_labels_are_enough_and_what_lies_between_is_doubtful():
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (201, 4))
    vectors[:100, 0] += 12
    vectors[200] = [6, 0, 0, 0]
    learned = learn_labels(vectors[[0, 1, 2, 100, 101, 102]], ["a"] * 3 + ["b"] * 3, vectors)
    found = learned.guess(vectors)
    assert found.label[:200].tolist() == ["a"] * 100 + ["b"] * 100
    assert found.margin.argmin() == 200
    assert learned.method in learned.scores


def test_one_mask_of_each_label_is_enough():
    vectors = np.array([[0.0], [0.1], [5.0]])
    learned = learn_labels(vectors[[0, 2]], ["a", "b"], vectors)
    assert learned.guess(vectors).label.tolist() == ["a", "a", "b"] and learned.scores == {}


def test_every_classifier_is_tried_and_the_first_that_is_as_good_as_the_best_is_taken():
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (60, 3))
    vectors[30:] += 20
    labels = ["a"] * 5 + ["b"] * 5
    learned = learn_labels(np.vstack([vectors[:5], vectors[30:35]]), labels, vectors)
    assert list(learned.scores) == [
        "label spreading and logistic regression",
        "label spreading",
        "logistic regression",
        "nearest neighbours",
    ]
    assert learned.method == next(iter(learned.scores))


def test_many_labels_need_no_unlabelled_vectors():
    vectors = np.random.default_rng(0).normal(0, 1, (1200, 2))
    vectors[600:] += 20
    learned = learn_labels(vectors, ["a"] * 600 + ["b"] * 600, vectors)
    assert list(learned.scores) == ["logistic regression", "nearest neighbours"]


def test_equal_vectors_are_refused():
    with pytest.raises(PromergeError, match="all 4 vectors are equal, so nothing tells"):
        learn_labels(np.ones((2, 3)), ["a", "b"], np.ones((4, 3)))


@pytest.mark.parametrize("labels", [[], ["a"]])
def test_fewer_than_two_labels_are_refused(labels):
    with pytest.raises(PromergeError, match="at least two"):
        learn_labels(np.eye(3)[: len(labels)], labels, np.eye(3))
