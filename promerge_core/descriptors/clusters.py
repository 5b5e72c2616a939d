"""Vectors -> groups of those that lie together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from promerge_core.errors import PromergeError
from promerge_core.registry import GROUPINGS

from .scaling import Scale, fit_scale

MOST_FITTED = 10_000
"""More than these are assigned: HDBSCAN takes time by the square of the number of vectors."""

_MOST_JUDGED = 5_000
_MOST_GROUPS = 12
# A group is at least one mask in a hundred, and its masks have at least so many neighbours.
_SMALLEST_PART, _SMALLEST, _NEIGHBOURS = 0.01, 10, 10
_MOST_NOISE = 0.5
_CHUNK = 50_000


class Groups(NamedTuple):
    """Which group each vector is in.

    Attributes:
        group: int64 [N].
        confidence: float64 [N] in [0, 1], 1 - (distance to the group) / (to the next nearest one).
    """

    group: np.ndarray
    confidence: np.ndarray

    def by_size(self) -> Groups:
        """The same groups, the largest as 0."""
        order = np.argsort(-np.bincount(self.group), kind="stable")
        return self._replace(group=np.argsort(order)[self.group])


class FittedGroups(NamedTuple):
    """Groups that any number of vectors can be assigned to.

    Attributes:
        scale: puts vectors [N, D] on one scale.
        members: for each group the vectors that make it, on that scale, float32 [M, d].
    """

    scale: Scale
    members: list[np.ndarray]

    def assign(self, vectors: np.ndarray) -> Groups:
        """The nearest group of each vector, float [N, D]."""
        parts = [vectors[at : at + _CHUNK] for at in range(0, len(vectors), _CHUNK)]
        return _nearest(np.concatenate([self._distances(part) for part in parts]))

    def _distances(self, vectors: np.ndarray) -> np.ndarray:
        """Mean distance of each vector to the nearest members of each group, [N, groups]."""
        from sklearn.neighbors import NearestNeighbors

        scaled, columns = self.scale(vectors), []
        for own in self.members:
            near = NearestNeighbors(n_neighbors=min(_SMALLEST, len(own))).fit(own)
            columns.append(near.kneighbors(scaled)[0].mean(axis=1))
        return np.stack(columns, axis=1)


def find_groups(vectors: np.ndarray, method: str = "hdbscan", groups: int | None = None) -> Groups:
    """Groups vectors; the same vectors always give the same groups.

    Args:
        vectors: float array [N, D].
        method: `hdbscan` finds dense groups of any form; `kmeans` round ones.
        groups: how many there are, for `kmeans`; None finds out by the silhouette.

    Returns:
        a group for every vector, 0 for the largest; what HDBSCAN calls noise is in the nearest
        group, and where it finds fewer than two groups, all vectors are in one.

    Raises:
        PromergeError: there are fewer than two vectors, one is not finite, all are equal, or the
            method or the number of groups does not fit.
    """
    _check(vectors, method, groups)
    chosen = np.random.default_rng(0).permutation(len(vectors))[:MOST_FITTED]
    return fit_groups(vectors[np.sort(chosen)], method, groups).assign(vectors).by_size()


def fit_groups(
    sample: np.ndarray, method: str = "hdbscan", groups: int | None = None
) -> FittedGroups:
    """Finds the groups of some vectors, to assign others to them; see `find_groups`.

    Args:
        sample: float array [N, D] of at most `MOST_FITTED` vectors.
        method: see `find_groups`.
        groups: see `find_groups`.

    Returns:
        the groups; one where HDBSCAN finds fewer than two.

    Raises:
        PromergeError: as in `find_groups`.
    """
    _check(sample, method, groups)
    scale = fit_scale(sample)
    fitted = scale(sample)
    labels = _dense(fitted) if method == "hdbscan" else None
    if labels is not None:
        members = [fitted[labels == group] for group in range(labels.max() + 1)]
        return FittedGroups(scale, members)
    groups = groups or (1 if method == "hdbscan" else _number(fitted))
    centres = _kmeans(fitted, groups).cluster_centers_
    return FittedGroups(scale, [centre[None] for centre in centres])


def _check(vectors: np.ndarray, method: str, groups: int | None) -> None:
    if method not in GROUPINGS:
        raise PromergeError(f"method must be one of {', '.join(GROUPINGS)}; got {method!r}")
    if groups is not None and method != "kmeans":
        raise PromergeError(f"{method} finds the number of groups; give groups with kmeans only")
    if len(vectors) < 2:
        raise PromergeError(
            f"groups need at least two masks with a vector; there are {len(vectors)}"
        )
    if not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors).all(axis=1)).sum())
        raise PromergeError(
            f"{bad} of the {len(vectors)} vectors are not finite; embed the masks again"
        )
    if (vectors == vectors[0]).all():
        raise PromergeError(
            f"all {len(vectors)} vectors are equal, so nothing tells the masks apart; "
            f"embed them with another backbone"
        )
    if groups is not None and not 1 <= groups <= len(vectors):
        raise PromergeError(
            f"groups must be between 1 and the number of masks, {len(vectors)}; got {groups}"
        )


def _dense(fitted: np.ndarray) -> np.ndarray | None:
    """HDBSCAN's clusters, -1 for noise; None where it finds fewer than two."""
    from sklearn.cluster import HDBSCAN

    smallest = max(_SMALLEST, round(_SMALLEST_PART * len(fitted)))
    if len(fitted) < 2 * smallest:
        return None

    def clusters(largest: int | None) -> np.ndarray:
        model = HDBSCAN(
            min_cluster_size=smallest,
            min_samples=_NEIGHBOURS,
            max_cluster_size=largest,
            copy=True,
        )
        return np.asarray(model.fit_predict(fitted))

    labels, most = clusters(None), len(fitted) // 2
    if labels.max() < 1:
        return None
    if np.bincount(labels[labels >= 0]).max() > most:
        # One group of most masks tells little, and a person can give two groups one name but cannot
        # divide one. Where such a group has no parts, its masks would be noise, and it stays.
        divided = clusters(most)
        if divided.max() >= 1 and (divided < 0).mean() <= _MOST_NOISE:
            return divided
    return labels


def _number(fitted: np.ndarray) -> int:
    """The number of groups with the best silhouette."""
    from sklearn.metrics import silhouette_score

    some = fitted[:: -(-len(fitted) // _MOST_JUDGED)]
    different = len(np.unique(some, axis=0))
    scores = {}
    for number in range(2, min(_MOST_GROUPS, different - 1) + 1):
        scores[number] = silhouette_score(some, _kmeans(some, number).labels_)
    return max(scores, key=lambda number: scores[number], default=min(different, 2))


def _kmeans(fitted: np.ndarray, groups: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(groups, n_init=3, random_state=0).fit(fitted)


def _nearest(distances: np.ndarray) -> Groups:
    """The nearest group of each vector, from its distances to all of them [N, groups]."""
    group = distances.argmin(axis=1)
    if distances.shape[1] == 1:
        return Groups(group, np.ones(len(group)))
    first, second = np.partition(distances, 1, axis=1)[:, :2].T
    return Groups(group, 1 - first / np.maximum(second, 1e-12))
