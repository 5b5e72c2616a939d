"""Vectors on one scale, so that distances between them say how alike two masks look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Scale = Callable[[np.ndarray], np.ndarray]
"""Takes vectors, float [N, D], and returns float32 [N, d]."""

DIMS = 32
"""Vectors of more values are those of a network, and are fitted in so many components."""

# Beyond this many standard deviations a value says only that it is far away.
_FARTHEST = 5.0
_EXPLAINED = 0.95


def fit_scale(sample: np.ndarray) -> Scale:
    """Learns from vectors how to put them on one scale.

    The few values of a hand-made vector have units of their own, and some say nearly the same, as
    the lightness and the colours do of a dark mask. So each is divided by its spread, as the
    quartiles have it, and the principal components that explain 95 % of what is left get the same
    variance (PCA whitening). The many values of a network have one unit, and their directions of
    little variance are noise: they are reduced to 32 components, which keep their variances.

    Args:
        sample: float array [N, D] of at least two vectors, not all equal.

    Returns:
        a function for these and other vectors.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import RobustScaler

    if sample.shape[1] > DIMS:
        components = PCA(min(DIMS, len(sample)), svd_solver="randomized", random_state=0)
        unit = np.sqrt(components.fit_transform(sample).var(axis=0).mean())
        return lambda vectors: np.asarray(components.transform(vectors) / unit, np.float32)
    robust = RobustScaler(unit_variance=True).fit(sample)

    def spread(vectors: np.ndarray) -> np.ndarray:
        return np.clip(robust.transform(vectors), -_FARTHEST, _FARTHEST)

    whitened = PCA(_EXPLAINED, whiten=True, svd_solver="full").fit(spread(sample))
    return lambda vectors: np.asarray(whitened.transform(spread(vectors)), np.float32)
