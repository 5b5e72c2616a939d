"""Labels of a few vectors -> labels of all."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from promerge_core.errors import PromergeError


class Guess(NamedTuple):
    """What a classifier says of vectors.

    Attributes:
        label: the most probable label of each vector, [N].
        confidence: its probability, float64 [N].
        margin: probability of the first less that of the second label, float64 [N].
    """

    label: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray


class Learned(NamedTuple):
    """A classifier of vectors.

    Attributes:
        model: the classifier of scikit-learn.
        scale: vectors are divided by it.
        method: the classifier's name.
        scores: balanced accuracy in cross-validation by classifier; empty where a label has one
            vector only, which cannot be held out.
    """

    model: Any
    scale: float
    method: str
    scores: dict[str, float]

    def guess(self, vectors: np.ndarray) -> Guess:
        """The labels of vectors, float [N, D], N at least 1."""
        probabilities = self.model.predict_proba(vectors / self.scale)
        first, second = np.sort(probabilities, axis=1)[:, :-3:-1].T
        labels = self.model.classes_[probabilities.argmax(axis=1)]
        return Guess(labels, first, first - second)


def learn_labels(few: np.ndarray, labels: list[str], sample: np.ndarray) -> Learned:
    """Learns labels from a few vectors.

    Args:
        few: the vectors that have a label, float [L, D].
        labels: their L labels.
        sample: vectors with and without labels, float [N, D], by whose spread all are scaled.

    Returns:
        the classifier that does best in cross-validation.

    Raises:
        PromergeError: there are fewer than two different labels.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        raise PromergeError(
            f"labels can be spread where at least two are set; there are: "
            f"{', '.join(counts) or 'none'}"
        )
    # One factor for all values: their scales against one another mean something.
    scale = max(float(np.sqrt(sample.var(axis=0).sum())), 1e-12)
    scaled, truth = few / scale, np.array(labels)
    scores = _scores(scaled, truth, min(5, min(counts.values())))
    method = max(scores, key=lambda name: scores[name]) if scores else next(iter(_candidates(1)))
    return Learned(_candidates(len(few))[method].fit(scaled, truth), scale, method, scores)


def _candidates(number: int) -> dict[str, Any]:
    """Classifiers by name; the earlier is taken where several are as good."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    models: dict[str, Any] = {
        f"logistic regression, C {strength}": LogisticRegression(
            C=strength, max_iter=5000, class_weight="balanced"
        )
        for strength in (30, 3, 300)
    }
    models["nearest neighbour"] = KNeighborsClassifier(1)
    if number >= 8:
        models["3 nearest neighbours"] = KNeighborsClassifier(3, weights="distance")
    return models


def _scores(few: np.ndarray, truth: np.ndarray, folds: int) -> dict[str, float]:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    if folds < 2:
        return {}
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)
    return {
        name: float(
            cross_val_score(model, few, truth, cv=parts, scoring="balanced_accuracy").mean()
        )
        for name, model in _candidates(len(few)).items()
    }
