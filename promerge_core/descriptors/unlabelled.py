"""A classifier that learns from vectors without labels too."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import pairwise_distances
from sklearn.semi_supervised import LabelSpreading

# The kernel is exp(-16 r^2), r in typical distances of two vectors: a mask is like those that are a
# quarter of that away. How much of its neighbours' label a vector takes: 0.99 in the paper. Both
# were compared on COCO's masks, see docs/naming.md.
_SHARPNESS, _FROM_NEIGHBOURS, _ITERATIONS = 16.0, 0.9, 100


class SpreadingClassifier(ClassifierMixin, BaseEstimator):
    """Label spreading (Zhou et al., NeurIPS 2003) as a classifier of new vectors.

    Args:
        unlabelled: vectors without labels, float [N, D].
    """

    def __init__(self, unlabelled: np.ndarray) -> None:
        self.unlabelled = unlabelled

    def fit(self, vectors: np.ndarray, labels: np.ndarray) -> SpreadingClassifier:
        """Learns from vectors and their labels.

        Args:
            vectors: float [L, D].
            labels: [L].

        Returns:
            itself.
        """
        self.classes_, codes = np.unique(labels, return_inverse=True)
        both = np.concatenate([vectors, self.unlabelled])
        known = np.concatenate([codes, np.full(len(self.unlabelled), -1)])
        some = both[:: -(-len(both) // 1000)]
        typical = np.median(pairwise_distances(some)) or 1.0
        self._spreading = LabelSpreading(
            "rbf", gamma=_SHARPNESS / typical**2, alpha=_FROM_NEIGHBOURS, max_iter=_ITERATIONS
        ).fit(both, known)
        return self

    def predict_proba(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, [N, classes]; equal ones for a vector far from all."""
        with np.errstate(invalid="ignore"):
            found = self._spreading.predict_proba(vectors)
        return np.where(np.isfinite(found), found, 1 / len(self.classes_))

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """The most probable class of each vector, [N]."""
        return np.asarray(self.classes_[self.predict_proba(vectors).argmax(axis=1)])
