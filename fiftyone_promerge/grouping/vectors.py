"""Vectors of masks, read batch by batch: those of a million masks do not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from promerge_core import PromergeError

from .attributes import MaskIds, mask_batches, read_masks


class VectorBatch(NamedTuple):
    """Masks that have a vector.

    Attributes:
        ids: the ids of sample and mask.
        vectors: float32 [N, D].
        values: other attributes, N values of each.
    """

    ids: MaskIds
    vectors: np.ndarray
    values: dict[str, list[Any]]


def vector_batches(
    samples: foc.SampleCollection, field: str, embeddings_field: str, names: Sequence[str] = ()
) -> Iterator[VectorBatch]:
    """The masks that have a vector, some hundred samples at a time.

    Args:
        samples: a dataset or view.
        field: holds detections.
        embeddings_field: the attribute with the vectors.
        names: other attributes to be read with them.

    Returns:
        batches, none of them empty.

    Raises:
        PromergeError: there are no masks, none has a vector, the attribute holds no vectors,
            vectors have different lengths, or one is not finite.
    """
    path = f"{field}.detections.{embeddings_field}"
    kind = samples.get_field(path)
    if kind is not None and not isinstance(kind, fo.VectorField):
        raise PromergeError(
            f"{embeddings_field!r} of the masks in {field!r} does not hold vectors; "
            f"name the attribute that embed_masks wrote"
        )
    size = None
    for ids, values in mask_batches(samples, field, [embeddings_field, *names]):
        found = [row for row, one in enumerate(values[embeddings_field]) if one is not None]
        if not found:
            continue
        own = [values[embeddings_field][row] for row in found]
        size = size or len(own[0])
        _check(own, size, embeddings_field)
        kept = {name: [values[name][row] for row in found] for name in names}
        yield VectorBatch([ids[row] for row in found], np.stack(own).astype(np.float32), kept)
    if size is None:
        read_masks(samples, field, [])
        raise PromergeError(
            f"no mask of {field!r} has an {embeddings_field!r}; use embed_masks first"
        )


def _check(vectors: list[np.ndarray], size: int, name: str) -> None:
    if any(len(one) != size for one in vectors):
        raise PromergeError(f"the vectors in {name!r} have different lengths; overwrite them")
    bad = sum(not np.isfinite(one).all() for one in vectors)
    if bad:
        raise PromergeError(
            f"{bad} of the vectors in {name!r} are not finite; overwrite them with embed_masks"
        )


class Drawing:
    """Draws vectors at random from batches, each as likely as any other."""

    def __init__(self, most: int) -> None:
        """Draws `most` vectors at most."""
        self._most = most
        self._random = np.random.default_rng(0)
        self._keys = np.zeros(0)
        self._vectors: np.ndarray | None = None

    def add(self, vectors: np.ndarray) -> None:
        """Takes a batch, float [N, D]."""
        keys = np.concatenate([self._keys, self._random.random(len(vectors))])
        both = vectors if self._vectors is None else np.concatenate([self._vectors, vectors])
        kept = np.sort(np.argsort(keys)[: self._most])
        self._keys, self._vectors = keys[kept], both[kept]

    @property
    def drawn(self) -> np.ndarray:
        """The drawn vectors in the order of the masks, float [M, D]."""
        assert self._vectors is not None, "vector_batches gives at least one batch"
        return self._vectors
