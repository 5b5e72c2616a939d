"""Masks for a dataset: `apply_model` with checks, resume and overwrite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.media as fomm

from fiftyone_promerge.fields import (
    check_images,
    check_label_field,
    count_samples,
    written_ids,
    written_samples,
)
from fiftyone_promerge.fiftyone_internals import is_generated, root_dataset
from fiftyone_promerge.grouping.embedding import expect_vectors
from fiftyone_promerge.models.mask_model import MaskModel
from fiftyone_promerge.provenance import check_replaceable, check_same_parameters
from promerge_core import Summary
from promerge_core.options import MaskOptions
from promerge_core.parameters import takes

from .database import explained_failures
from .writing import MaskWriter


@takes(MaskOptions, num_workers=None)
@explained_failures()
def generate_masks(
    samples: foc.SampleCollection,
    model: MaskModel,
    label_field: str = "promerge",
    *,
    masks_dir: str | Path | None = None,
    progress: bool | Callable[..., None] | None = None,
    **options: Any,
) -> Summary:
    """Writes masks into a field of a dataset or view, and resumes where an earlier run stopped.

    Samples that have a label in the field already are left alone, whoever made or edited it. With
    `overwrite` the labels of all samples are replaced, those that a person has edited among them,
    if all were made here; a field with labels of another origin is never overwritten. Of patches,
    the samples are the images that they are cut from. Without `num_workers`, FiftyOne decides how
    many there are. With `embeddings`, masks that are made get the vectors that `embed_masks` gives,
    as the attribute `embedding`.

    Args:
        samples: an image dataset or view.
        model: makes the masks.
        label_field: the field to write.
        masks_dir: write masks as PNG files there instead of into the database.
        progress: as in `apply_model`.
        **options: see `promerge_core.options.MaskOptions`.

    Returns:
        what was done; an image that was left alone is not counted.

    Raises:
        FieldError: the field is reserved or of another type, or holds masks that were made with
            other parameters, or labels that were not made here.
        PromergeError: the model fails, as with broken weights, or the database server does, as
            with a full disk; what was done is kept.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> summary = fop.generate_masks(photos, model, label_field="promerge")
        >>> summary.images, summary.masks
        (2, 5)
    """
    check_images(samples)
    check_label_field(written_samples(samples), label_field)
    if options["embeddings"]:
        expect_vectors(samples, label_field, model, options["overwrite"])
    todo = _todo(samples, model, label_field, options)
    if count_samples(todo) == 0:
        return Summary()
    whole_images = samples.media_type == fomm.IMAGE and not is_generated(samples)
    to_database = whole_images and masks_dir is None
    writer = MaskWriter(root_dataset(samples), label_field) if to_database else None
    with writer or contextlib.nullcontext(), model.run_with(writer, options):
        todo.apply_model(
            model,
            skip_failures=False,
            label_field=label_field,
            batch_size=options["batch_size"],
            num_workers=options["num_workers"],
            output_dir=None if masks_dir is None else str(masks_dir),
            progress=progress,
        )
    return model.summary


def _todo(
    samples: foc.SampleCollection, model: MaskModel, label_field: str, options: dict[str, Any]
) -> foc.SampleCollection:
    """The samples that get masks: those without a label, or all that are overwritten."""
    targets = written_samples(samples)
    if not targets.has_field(label_field):
        return samples
    if options["overwrite"]:
        check_replaceable(targets, label_field)
        # First, so that a run which is stopped leaves no masks of two kinds in the field.
        targets.clear_sample_field(label_field)
        return samples
    check_same_parameters(targets, model.record(), label_field)
    done = set(targets.exists(label_field).values("id"))
    pairs = zip(samples.values("id"), written_ids(samples), strict=True)
    # By their ids: a view of what has no label would change while the labels are written.
    return samples.select([one for one, target in pairs if target not in done], ordered=True)
