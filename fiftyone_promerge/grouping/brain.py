"""Runs of FiftyOne's Brain on the vectors that masks have: the embeddings panel, similarity."""

from __future__ import annotations

from typing import Any, NamedTuple

import fiftyone.core.collections as foc

from fiftyone_promerge.fields import FieldError, check_images
from fiftyone_promerge.fiftyone_internals import root_dataset
from fiftyone_promerge.labels import EMBEDDING

from .vectors import vector_batches


class BrainKeys(NamedTuple):
    """The keys of two runs of FiftyOne's Brain.

    Attributes:
        map: points in the plane, for the panel *Embeddings*.
        similarity: finds the masks that look like a selected one, in a patches view.
    """

    map: str
    similarity: str


def index_masks(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    *,
    method: str = "pca",
    embeddings_field: str = EMBEDDING,
) -> BrainKeys:
    """Makes FiftyOne's embeddings panel and its search by similarity know the masks of a field.

    The vectors are those that the masks have; none is computed. Runs that this made before are
    replaced. The vectors of all masks are read at once.

    Args:
        samples: a dataset or view whose masks have vectors, see `embed_masks`.
        label_field: the field of the masks.
        method: how vectors become points: `pca`, `tsne`, or `umap` where umap-learn is installed;
            see `fiftyone.brain.compute_visualization`.
        embeddings_field: the attribute with the vectors.

    Returns:
        the brain keys.

    Raises:
        PromergeError: there are no masks or vectors, one is not finite, or a key is another run's.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge", embeddings=True)
        >>> fop.index_masks(photos, "promerge").similarity
        'promerge_similarity'
    """
    import fiftyone.brain as fob

    check_images(samples)
    for _ in vector_batches(samples, label_field, embeddings_field):
        pass  # every vector is checked before a run is registered
    keys = BrainKeys(f"{label_field}_map", f"{label_field}_similarity")
    for key in keys:
        _make_room(samples, key, label_field)
    what: dict[str, Any] = {"patches_field": label_field, "embeddings": embeddings_field}
    fob.compute_visualization(samples, **what, method=method, brain_key=keys.map, progress=False)
    fob.compute_similarity(
        samples, **what, backend="sklearn", metric="euclidean", brain_key=keys.similarity
    )
    return keys


def _make_room(samples: foc.SampleCollection, key: str, label_field: str) -> None:
    dataset = root_dataset(samples)
    if key not in dataset.list_brain_runs():
        return
    if dataset.get_brain_info(key).config.patches_field != label_field:
        raise FieldError(f"there is a brain run {key!r} of other masks; delete or rename it first")
    dataset.delete_brain_run(key)
