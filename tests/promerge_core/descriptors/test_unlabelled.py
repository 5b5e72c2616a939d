import numpy as np

from promerge_core.descriptors.unlabelled import SpreadingClassifier


def test_labels_follow_the_masks_without_labels_along_a_curve():
    angle = np.linspace(0, np.pi, 200)
    moons = np.vstack(
        [np.c_[np.cos(angle), np.sin(angle)], np.c_[1 - np.cos(angle), 0.5 - np.sin(angle)]]
    )
    truth = np.repeat(["a", "b"], 200)
    labelled = [0, 60, 260, 399]
    model = SpreadingClassifier(moons).fit(moons[labelled], truth[labelled])
    assert (model.predict(moons) == truth).mean() > 0.97


def test_a_vector_far_from_all_may_be_anything():
    vectors = np.array([[0.0], [1.0], [2.0]])
    model = SpreadingClassifier(vectors).fit(vectors[[0, 2]], np.array(["a", "b"]))
    assert model.predict_proba(np.array([[1e6]])).tolist() == [[0.5, 0.5]]
