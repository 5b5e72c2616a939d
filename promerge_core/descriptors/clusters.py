"""Vectors -> groups of those that lie together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from promerge_core.errors import PromergeError

METHODS = ("hdbscan", "kmeans")
DIMS = 32
"""Vectors are fitted in at most so many principal components."""

# sklearn's HDBSCAN takes time by the square of the number; more than these are assigned.
_MOST_FITTED = {"hdbscan": 10_000, "kmeans": 1_000_000}
_MOST_JUDGED = 5_000
_MOST_GROUPS = 12
# A group is at least one mask in a hundred, and its masks have at least so many neighbours.
_SMALLEST_PART, _SMALLEST, _NEIGHBOURS = 0.01, 5, 10
_CHUNK = 50_000


class Groups(NamedTuple):
    """Which group each vector is in.

    Attributes:
        group: int64 [N], 0 for the largest group.
        confidence: float64 [N] in [0, 1], 1 - (distance to the group) / (to the next nearest one).
    """

    group: np.ndarray
    confidence: np.ndarray


def find_groups(vectors: np.ndarray, method: str = "hdbscan", groups: int | None = None) -> Groups:
    """Groups vectors; the same vectors always give the same groups.

    Args:
        vectors: float array [N, D].
        method: `hdbscan` finds dense groups of any form; `kmeans` round ones.
        groups: how many there are, for `kmeans`; None finds out by the silhouette.

    Returns:
        a group for every vector; what HDBSCAN calls noise is in the nearest group.

    Raises:
        PromergeError: there are fewer than two vectors, one is not finite, all are equal, or the
            method or the number of groups does not fit.
    """
    _check(vectors, method, groups)
    vectors = np.asarray(vectors, np.float32)
    chosen = np.random.default_rng(0).permutation(len(vectors))[: _MOST_FITTED[method]]
    fitted, labels = vectors[np.sort(chosen)], None
    if method == "hdbscan":
        labels = _dense(fitted)
    if labels is None:
        groups = groups or (1 if method == "hdbscan" else _number(fitted))
        centres = _kmeans(fitted, groups).cluster_centers_
        distances = _to_members(vectors, [centre[None] for centre in centres])
    else:
        members = [fitted[labels == group] for group in range(labels.max() + 1)]
        distances = _to_members(vectors, members)
    return _nearest(distances)


def reduce_vectors(sample: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Principal components of vectors that have many values; others as they are.

    Args:
        sample: the vectors that decide the components, float [M, D], M at least 2.
        vectors: float [N, D].

    Returns:
        float32 [N, at most 32].
    """
    from sklearn.decomposition import PCA

    if vectors.shape[1] <= DIMS:
        return vectors.astype(np.float32)
    count = min(DIMS, len(sample))
    reduced = PCA(count, svd_solver="randomized", random_state=0).fit(sample).transform(vectors)
    return np.asarray(reduced, np.float32)


def _check(vectors: np.ndarray, method: str, groups: int | None) -> None:
    if method not in METHODS:
        raise PromergeError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
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
    found = HDBSCAN(
        min_cluster_size=smallest, min_samples=min(_NEIGHBOURS, smallest), copy=True
    ).fit(fitted)
    return None if found.labels_.max() < 1 else np.asarray(found.labels_)


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


def _to_members(vectors: np.ndarray, members: list[np.ndarray]) -> np.ndarray:
    """Mean distance of each vector to the nearest members of each group, [N, groups]."""
    from sklearn.neighbors import NearestNeighbors

    columns = []
    for own in members:
        near = NearestNeighbors(n_neighbors=min(_SMALLEST, len(own))).fit(own)
        parts = [vectors[at : at + _CHUNK] for at in range(0, len(vectors), _CHUNK)]
        columns.append(np.concatenate([near.kneighbors(part)[0].mean(axis=1) for part in parts]))
    return np.stack(columns, axis=1)


def _nearest(distances: np.ndarray) -> Groups:
    """The nearest group of each vector; the largest group becomes 0."""
    found = distances.argmin(axis=1)
    order = np.argsort(-np.bincount(found, minlength=distances.shape[1]), kind="stable")
    group = np.argsort(order)[found]
    if distances.shape[1] == 1:
        return Groups(group, np.ones(len(group)))
    first, second = np.partition(distances, 1, axis=1)[:, :2].T
    return Groups(group, 1 - first / np.maximum(second, 1e-12))
