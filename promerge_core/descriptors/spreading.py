"""Labels of a few vectors -> labels of all."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from promerge_core.errors import PromergeError

from .scaling import Scale, fit_scale

_FOLDS = 5
# A kernel between all pairs of vectors is held in memory.
_MOST_UNLABELLED, _MOST_LABELLED = 2_000, 1_000


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
        scale: puts vectors on one scale.
        method: the classifier's name.
        scores: balanced accuracy in cross-validation by classifier; empty where a label has one
            vector only, which cannot be held out.
    """

    model: Any
    scale: Scale
    method: str
    scores: dict[str, float]

    def guess(self, vectors: np.ndarray) -> Guess:
        """The labels of vectors, float [N, D], N at least 1."""
        probabilities = self.model.predict_proba(self.scale(vectors))
        first, second = np.sort(probabilities, axis=1)[:, :-3:-1].T
        labels = self.model.classes_[probabilities.argmax(axis=1)]
        return Guess(labels, first, first - second)


def learn_labels(few: np.ndarray, labels: list[str], sample: np.ndarray) -> Learned:
    """Learns labels from a few vectors, and from what the others are like.

    Args:
        few: the vectors that have a label, float [L, D].
        labels: their L labels.
        sample: vectors with and without labels, float [N, D].

    Returns:
        the classifier that does best in cross-validation: the first one whose score is within one
        standard error of the best.

    Raises:
        PromergeError: there are fewer than two different labels, or all vectors are equal.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        raise PromergeError(
            f"labels can be spread where at least two are set; there are: "
            f"{', '.join(counts) or 'none'}"
        )
    if (sample == sample[0]).all():
        raise PromergeError(
            f"all {len(sample)} vectors are equal, so nothing tells the masks apart; "
            f"embed them with another backbone"
        )
    scale = fit_scale(sample)
    models = _candidates(len(few), scale(sample))
    scaled, truth = scale(few), np.array(labels)
    method, scores = _best(models, scaled, truth, min(_FOLDS, min(counts.values())))
    return Learned(models[method].fit(scaled, truth), scale, method, scores)


def _candidates(number: int, sample: np.ndarray) -> dict[str, Any]:
    """Classifiers by name, for a number of labels; the earlier ones are preferred."""
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    from .unlabelled import SpreadingClassifier

    logistic = LogisticRegression(max_iter=5000, class_weight="balanced")
    near = KNeighborsClassifier(3 if number >= 8 else 1, weights="distance")
    models = {"logistic regression": logistic, "nearest neighbours": near}
    if number > _MOST_LABELLED:
        return models
    some = np.random.default_rng(0).permutation(len(sample))[:_MOST_UNLABELLED]
    spreading = SpreadingClassifier(sample[np.sort(some)])
    voting = VotingClassifier([("spreading", spreading), ("logistic", logistic)], voting="soft")
    spread = {"label spreading and logistic regression": voting, "label spreading": spreading}
    return {**spread, **models}


def _best(
    models: dict[str, Any], few: np.ndarray, truth: np.ndarray, folds: int
) -> tuple[str, dict[str, float]]:
    """The name of the model to take, and the score of each."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    if folds < 2:
        return next(iter(models)), {}
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)
    found = {
        name: cross_val_score(model, few, truth, cv=parts, scoring="balanced_accuracy")
        for name, model in models.items()
    }
    best = max(found.values(), key=np.mean)
    enough = best.mean() - best.std(ddof=1) / np.sqrt(folds)
    method = next(name for name, scores in found.items() if scores.mean() >= enough)
    return method, {name: float(scores.mean()) for name, scores in found.items()}
