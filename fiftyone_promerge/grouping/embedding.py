"""A vector per mask, as an attribute of each detection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.utils as fou
import numpy as np

from fiftyone_promerge.fields import FieldError, check_images, written_samples
from fiftyone_promerge.fiftyone_internals import root_dataset
from fiftyone_promerge.labels import EMBEDDING, detection_to_mask
from fiftyone_promerge.models.promerge import ProMergeModel
from fiftyone_promerge.provenance import recorded_parameters
from promerge_core import (
    ImageError,
    PromergeError,
    SkippedImage,
    Summary,
    load_backbone,
    open_image,
    prepare_image,
)
from promerge_core.backbones.base import Backbone
from promerge_core.descriptors.describe import (
    IMAGE_SIZE,
    describe_batch,
    embedding_dim,
    input_size,
)
from promerge_core.options import BackboneOptions
from promerge_core.parameters import takes

from .attributes import (
    check_attribute,
    mask_batches,
    read_masks,
    record,
    vectors_key,
    write_masks,
)

logger = logging.getLogger(__name__)


@takes(BackboneOptions)
def embed_masks(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    embeddings_field: str = EMBEDDING,
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    announce: Callable[[str], object] = logger.info,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> Summary:
    """Gives each mask a vector that says what it looks like; see `promerge_core.describe_masks`.

    Masks that have a vector are left alone, so that a run which was stopped continues. Images are
    resized as they were where their masks were made, so that these vectors equal those that
    `generate_masks(embeddings=True)` gives.

    Args:
        samples: a dataset or view of images.
        label_field: the field of the masks.
        embeddings_field: the attribute of each detection for its vector, float32 [D].
        batch_size: images in a batch.
        overwrite: make the vectors of all masks again.
        announce: is told the size in the database before vectors are made.
        progress: is told how many images are done, batch by batch.
        **options: see `promerge_core.options.BackboneOptions`.

    Returns:
        the images and masks that were done, and the images that could not be read.

    Raises:
        FieldError: the vectors there were made otherwise, or not here.
        PromergeError: there are no masks, or the backbone cannot be loaded.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge")
        >>> fop.embed_masks(photos, "promerge", backbone="embedded").masks
        5
    """
    check_images(samples)
    image_size = (recorded_parameters(samples, label_field) or {}).get("image_size", IMAGE_SIZE)
    made_by = {
        **{name: options[name] for name in ("backbone", "weights")},
        "image_size": image_size,
    }
    _check_vectors(samples, label_field, embeddings_field, made_by, overwrite)
    missing = [
        one
        for ids, values in mask_batches(samples, label_field, [embeddings_field])
        for one, vector in zip(ids, values[embeddings_field], strict=True)
        if vector is None or overwrite
    ]
    if not missing:
        read_masks(samples, label_field, [])
    chosen = (options[name] for name in ("backbone", "device", "dtype", "weights"))
    backbone = load_backbone(*chosen)
    dim, size = vector_size(backbone)
    announce(f"{len(missing)} vectors of {dim} numbers: {len(missing) * size / 1e6:.1f} MB")
    _declare_vectors(samples, label_field, embeddings_field, made_by)
    todo = list(dict.fromkeys(sample_id for sample_id, _ in missing))
    summary, side = Summary(), input_size(backbone, image_size)
    for at in range(0, len(todo), batch_size):
        some = root_dataset(samples).select(todo[at : at + batch_size], ordered=True)
        _embed(some, label_field, embeddings_field, backbone, side, summary)
        if progress is not None:
            progress(min(at + batch_size, len(todo)))
    return summary


def vector_size(backbone: Backbone) -> tuple[int, int]:
    """Number of the values in a mask's vector, and its size in the database in bytes."""
    dim = embedding_dim(backbone)
    # Packed, as they are in the database; a short vector's header is larger than its numbers.
    return dim, len(fou.serialize_numpy_array(np.random.default_rng(0).random(dim, np.float32)))


def expect_vectors(
    samples: foc.SampleCollection, label_field: str, model: object, overwrite: bool
) -> None:
    """Prepares a dataset for masks that are made with their vectors.

    Args:
        samples: a dataset or view of images, whose masks will be made.
        label_field: the field of the masks.
        model: makes the masks.
        overwrite: whether the masks of these samples, with their vectors, are made again.

    Raises:
        FieldError: the samples are patches, or other masks of the field have vectors that were
            made otherwise, or not here.
        PromergeError: the model is a detector.
    """
    if not isinstance(model, ProMergeModel):
        raise PromergeError("a detector gives no vectors; use embed_masks when the masks are made")
    if written_samples(samples) is not samples:
        raise FieldError("masks of patches get no vectors while they are made; use embed_masks")
    generator = model.generator
    made_by = {
        "backbone": generator.backbone.name,
        "weights": model.weights,
        "image_size": generator.config.image_size,
    }
    _check_vectors(samples, label_field, EMBEDDING, made_by, overwrite)
    _declare_vectors(samples, label_field, EMBEDDING, made_by)


def _check_vectors(
    samples: foc.SampleCollection,
    field: str,
    name: str,
    made_by: dict[str, Any],
    overwrite: bool,
) -> None:
    """Raises FieldError where vectors that stay were made otherwise, or not here."""
    dataset = root_dataset(samples)
    if not dataset.has_field(field):
        return
    made = check_attribute(samples, field, name, vectors_key(field, name))
    if made is None or all(made.get(one) == value for one, value in made_by.items()):
        return
    staying = dataset.exclude(samples.values("id")) if overwrite else dataset
    having = {f"{field}.detections": {"$elemMatch": {name: {"$ne": None}}}}
    if staying.mongo([{"$match": having}]).limit(1).count():
        raise FieldError(
            f"the vectors in {name!r} were made with {made.get('backbone')} from images of "
            f"{made.get('image_size')} pixels; choose another embeddings_field, or overwrite them"
        )


def _declare_vectors(
    samples: foc.SampleCollection, field: str, name: str, made_by: dict[str, Any]
) -> None:
    dataset = root_dataset(samples)
    if not dataset.has_field(field):
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    if not dataset.has_field(f"{field}.detections.{name}"):
        dataset.add_sample_field(f"{field}.detections.{name}", fo.VectorField)
    record(samples, vectors_key(field, name), field, name, **made_by)


def _embed(
    samples: foc.SampleCollection,
    field: str,
    name: str,
    backbone: Backbone,
    side: int,
    summary: Summary,
) -> None:
    """Writes the vectors of one batch of images."""
    pixels, masks, ids = [], [], []
    paths, sample_ids, labels = samples.values(["filepath", "id", f"{field}.detections"])
    for path, sample_id, detections in zip(paths, sample_ids, labels, strict=True):
        try:
            image = prepare_image(open_image(path), side)
        except ImageError as error:
            summary.skip(SkippedImage(path, str(error)))
            continue
        drawn = [
            (one.id, detection_to_mask(one, image.width, image.height)) for one in detections or []
        ]
        drawn = [(mask_id, mask) for mask_id, mask in drawn if mask.any()]
        pixels.append(image.pixels)
        masks.append([mask for _, mask in drawn])
        ids += [(sample_id, mask_id) for mask_id, _ in drawn]
        summary.images += 1
        summary.masks += len(drawn)
    if not ids:
        return
    vectors = np.concatenate(describe_batch(backbone, pixels, masks))
    column = [fou.serialize_numpy_array(vector) for vector in vectors]
    write_masks(samples, field, {name: fo.VectorField}, ids, {name: column})
