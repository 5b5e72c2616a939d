"""Fields of labels, and datasets, by their names: which may be read, and which written."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import fiftyone as fo
import fiftyone.core.aggregations as foa
import fiftyone.core.collections as foc
import fiftyone.core.fields as fof
import fiftyone.core.media as fomm
import fiftyone.core.patches as fop

from promerge_core import PromergeError
from promerge_core.errors import CocoError

from .fiftyone_internals import root_dataset


class FieldError(PromergeError):
    """A label field cannot hold the masks; the message says why and what to do."""


def has_dataset(name: str) -> bool:
    """Whether FiftyOne has a dataset of that name; of one that is no text it has none."""
    try:
        return fo.dataset_exists(name)
    except UnicodeEncodeError:
        return False


def open_dataset(name: str) -> fo.Dataset:
    """The FiftyOne dataset of that name.

    Raises:
        PromergeError: there is none.
    """
    if not has_dataset(name):
        known = ", ".join(fo.list_datasets()) or "none"
        raise PromergeError(f"there is no FiftyOne dataset {name!r}; there are: {known}")
    return fo.load_dataset(name)


def count_samples(samples: foc.SampleCollection) -> int:
    """How many samples there are; `len` of a dataset is an estimate.

    MongoDB's estimate can be wrong for good after its server was killed, and samples beyond it
    would be left out without a word.
    """
    return int(samples.aggregate(foa.Count()))


def detections_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields of a collection that hold detections."""
    return list(samples.get_field_schema(embedded_doc_type=fo.Detections))


def free_field(samples: foc.SampleCollection, name: str = "promerge") -> str:
    """The first of `name`, `name_2`, `name_3`, ... that is no field yet.

    Args:
        samples: a dataset or view.
        name: the name to begin with.

    Returns:
        a name that a new field can have.
    """
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if not samples.has_field(one))


def check_field_name(label_field: str) -> None:
    """Makes sure that a field can be called that.

    Raises:
        FieldError: it is no identifier, or begins with an underscore.
    """
    if not label_field.isidentifier() or label_field.startswith("_"):
        raise FieldError(
            f"{label_field!r} is no name for a field; use letters, digits and underscores"
        )


def check_label_field(samples: foc.SampleCollection, label_field: str) -> None:
    """Makes sure that masks can be written into a field, which may not exist yet.

    Args:
        samples: a dataset or view.
        label_field: the field.

    Raises:
        FieldError: the name is none for a field, or the field holds something else.
    """
    check_field_name(label_field)
    field = samples.get_field(label_field)
    if field is not None and _content(field) != fo.Detections.__name__:
        raise FieldError(
            f"the field {label_field!r} holds {_content(field)}, not Detections; "
            f"choose another field"
        )


def check_images(samples: foc.SampleCollection) -> None:
    """Makes sure that samples are images, whose fields hold the labels of each.

    Raises:
        FieldError: they are videos, groups or anything else.
    """
    if samples.media_type not in (fomm.IMAGE, None):  # None: there are no samples
        raise FieldError(
            f"the samples of {root_dataset(samples).name!r} are of the media type "
            f"{samples.media_type}, not image; choose the images with select_group_slices() of a "
            f"grouped dataset, or to_frames(sample_frames=True) of videos"
        )


def written_samples(samples: foc.SampleCollection) -> foc.SampleCollection:
    """The samples whose fields are written: of patches, the images that they are cut from."""
    if not isinstance(samples, fop.PatchesView):
        return samples
    return root_dataset(samples).select(list(set(written_ids(samples))))


def written_ids(samples: foc.SampleCollection) -> list[str]:
    """For each sample the id of the one that is written, see `written_samples`."""
    return samples.values("sample_id" if isinstance(samples, fop.PatchesView) else "id")


def check_eval_key(
    samples: foc.SampleCollection,
    eval_key: str,
    label_fields: Iterable[str],
    *,
    read_labels: bool = True,
) -> None:
    """Makes sure that an evaluation writes to nothing but what evaluations of its key made.

    Args:
        samples: a dataset or view.
        eval_key: the key; one that is no evaluation yet must be free.
        label_fields: the fields of detections that are compared.
        read_labels: whether to look for attributes that are not declared in all labels too, which
            reads them all.

    Raises:
        FieldError: samples or labels have a field of that name that is none of an evaluation.
    """
    check_field_name(eval_key)
    dataset = root_dataset(samples)
    if eval_key in dataset.list_evaluations():
        return
    paths = [f"{eval_key}_{outcome}" for outcome in ("tp", "fp", "fn")]
    for label_field in label_fields:
        paths += [f"{label_field}.detections.{eval_key}{end}" for end in ("", "_id", "_iou")]
    taken = [path for path in paths if dataset.has_field(path)]
    if not taken and read_labels:
        having = [{path: {"$exists": True}} for path in paths]
        taken = [eval_key] * dataset.mongo([{"$match": {"$or": having}}]).limit(1).count()
    if taken:
        raise FieldError(
            f"the evaluation key {eval_key!r} would overwrite {taken[0]!r}, which is no outcome of "
            f"an evaluation; choose another key"
        )


def check_detections_field(samples: foc.SampleCollection, field: str) -> None:
    """Makes sure that labels can be read from a field.

    Args:
        samples: a dataset or view.
        field: the field.

    Raises:
        FieldError: the samples are no images: of groups FiftyOne would read one slice alone.
        CocoError: there is no such field, or it does not hold `fo.Detections` of images.
    """
    check_images(samples)
    schema = samples.get_field_schema(flat=False)
    if field not in schema:
        known = ", ".join(detections_fields(samples)) or "none"
        raise CocoError(f"There is no field '{field}'; the fields of Detections are: {known}")
    if _content(schema[field]) != fo.Detections.__name__:
        raise CocoError(f"Field '{field}' holds {_content(schema[field])}, not Detections")


def _content(field: fof.Field) -> str:
    """What a field holds: the name of the label's class, or of the field's own."""
    return str(getattr(field, "document_type", type(field)).__name__)
