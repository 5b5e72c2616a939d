"""A vector per mask, as an attribute of each detection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.utils as fou
import numpy as np

from fiftyone_promerge.fields import FieldError, check_images
from fiftyone_promerge.fiftyone_internals import root_dataset
from fiftyone_promerge.labels import detection_to_mask
from promerge_core import (
    ImageError,
    SkippedImage,
    Summary,
    load_backbone,
    open_image,
    prepare_image,
)
from promerge_core.backbones.base import Backbone
from promerge_core.descriptors.describe import describe_batch, embedding_dim, input_size
from promerge_core.options import BackboneOptions
from promerge_core.parameters import takes

from .attributes import check_attribute, mask_batches, read_masks, record, write_masks

logger = logging.getLogger(__name__)


@takes(BackboneOptions)
def embed_masks(
    samples: foc.SampleCollection,
    label_field: str = "promerge",
    embeddings_field: str = "embedding",
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    announce: Callable[[str], object] = logger.info,
    **options: Any,
) -> Summary:
    """Gives each mask a vector that says what it looks like; see `promerge_core.describe_masks`.

    Masks that have a vector are left alone, so that a run which was stopped continues.

    Args:
        samples: a dataset or view of images.
        label_field: the field of the masks.
        embeddings_field: the attribute of each detection for its vector, float32 [D].
        batch_size: images in a batch.
        overwrite: make the vectors of all masks again.
        announce: is told the size in the database before the run begins.
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
    key = f"{label_field}_{embeddings_field}"
    made = check_attribute(samples, label_field, embeddings_field, key)
    made_by = {name: options[name] for name in ("backbone", "weights")}
    if made and not overwrite and any(made.get(name) != made_by[name] for name in made_by):
        raise FieldError(
            f"the vectors in {embeddings_field!r} were made with {made.get('backbone')}; "
            f"choose another embeddings_field, or overwrite them"
        )
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
    dim = embedding_dim(backbone)
    # Packed, as they are in the database; a short vector's header is larger than its numbers.
    each = len(fou.serialize_numpy_array(np.random.default_rng(0).random(dim, np.float32)))
    announce(f"{len(missing)} vectors of {dim} numbers: {len(missing) * each / 1e6:.1f} MB")
    record(samples, key, label_field, embeddings_field, **made_by)
    todo = list(dict.fromkeys(sample_id for sample_id, _ in missing))
    summary = Summary()
    for at in range(0, len(todo), batch_size):
        some = root_dataset(samples).select(todo[at : at + batch_size], ordered=True)
        _embed(some, label_field, embeddings_field, backbone, summary)
    return summary


def _embed(
    samples: foc.SampleCollection, field: str, name: str, backbone: Backbone, summary: Summary
) -> None:
    """Writes the vectors of one batch of images."""
    pixels, masks, ids = [], [], []
    paths, sample_ids, labels = samples.values(["filepath", "id", f"{field}.detections"])
    for path, sample_id, detections in zip(paths, sample_ids, labels, strict=True):
        try:
            image = prepare_image(open_image(path), input_size(backbone))
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
