"""Labels of a few vectors -> labels of all."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from promerge_core.errors import PromergeError


class Spread(NamedTuple):
    """What the chosen classifier says of all vectors.

    Attributes:
        label: the most probable label of each vector, [N].
        confidence: its probability, float64 [N].
        margin: probability of the first less that of the second label, float64 [N].
        method: the chosen classifier.
        scores: balanced accuracy in cross-validation by classifier; empty where a label has one
            vector only, which cannot be held out.
    """

    label: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    method: str
    scores: dict[str, float]


def spread(vectors: np.ndarray, labelled: np.ndarray, labels: list[str]) -> Spread:
    """Learns labels from a few vectors and predicts those of all.

    Args:
        vectors: float [N, D].
        labelled: the rows that have a label, int [L].
        labels: their L labels.

    Returns:
        labels, probabilities and how the classifier was chosen.

    Raises:
        PromergeError: there are fewer than two labels, or a vector is not finite.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        raise PromergeError(
            f"labels can be spread where at least two are set; there are: "
            f"{', '.join(counts) or 'none'}"
        )
    if not np.isfinite(vectors).all():
        raise PromergeError("a vector is not finite; embed the masks again")
    # One factor for all values: their scales against one another mean something.
    scaled = vectors / max(float(np.sqrt(vectors.var(axis=0).sum())), 1e-12)
    few, truth = scaled[labelled], np.array(labels)
    scores = _scores(few, truth, min(5, min(counts.values())))
    method = max(scores, key=lambda name: scores[name]) if scores else next(iter(_candidates(1)))
    model = _candidates(len(few))[method].fit(few, truth)
    probabilities = np.sort(model.predict_proba(scaled), axis=1)
    first, second = probabilities[:, -1], probabilities[:, -2]
    return Spread(model.predict(scaled), first, first - second, method, scores)


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
