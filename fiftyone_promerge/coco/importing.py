"""COCO json -> a field of detections."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from bson import ObjectId
from pycocotools import mask as coco_mask
from pymongo import UpdateOne

from fiftyone_promerge.fields import check_field_name
from fiftyone_promerge.fiftyone_internals import label_class, root_dataset, write_samples
from fiftyone_promerge.labels import LABEL, mask_to_detection, relative_box
from promerge_core import Mask
from promerge_core.errors import CocoError
from promerge_core.runs.coco_file import CocoFile

from .annotations import IMAGE_ID_FIELD, ImageSize, compute_sizes
from .validation import UniqueIds, annotation_rle, check_numbers, named_annotations, shown

logger = logging.getLogger(__name__)

_LABELS_PER_WRITE = 5000
_KEPT = (("area", "area", float), ("iscrowd", "iscrowd", int), ("id", IMAGE_ID_FIELD, int))


def annotation_to_detection(annotation: dict[str, Any], size: ImageSize, what: str) -> fo.Detection:
    """Turns a COCO annotation or result into a detection with the class label `object`.

    Args:
        annotation: `segmentation` (polygons or RLE) or `bbox` or both; `score`, `area`, `iscrowd`
            and `id` where it has them.
        size: the image's.
        what: what an error message calls the annotation.

    Returns:
        the label; beside what FiftyOne needs it has COCO's own `coco_bbox`, `area`, `iscrowd` and
        `coco_id` where the annotation has them.

    Raises:
        CocoError: it has neither mask nor box, or something in it is wrong.
    """
    check_numbers(annotation, size, what)
    bbox = annotation.get("bbox")
    if annotation.get("segmentation"):
        detection = _mask_detection(annotation_rle(annotation["segmentation"], size, what), size)
    elif bbox is not None:
        box = relative_box(bbox, size.width, size.height)
        detection = fo.Detection(label=LABEL, bounding_box=box)
    else:
        raise CocoError(f"{what} has neither a segmentation nor a bbox")
    detection.confidence = annotation.get("score")
    if bbox is not None:
        detection["coco_bbox"] = [float(side) for side in bbox]
    for key, name, kind in _KEPT:
        if annotation.get(key) is not None:
            detection[name] = kind(annotation[key])
    return detection


def _mask_detection(rle: dict[str, Any], size: ImageSize) -> fo.Detection:
    x, y, width, height = (float(side) for side in coco_mask.toBbox(rle))
    area = int(coco_mask.area(rle))
    if area == 0:
        # A polygon thinner than a pixel still counts as an object that is not found.
        empty = np.zeros((1, 1), dtype=bool)
        box = relative_box([0, 0, 1, 1], size.width, size.height)
        return fo.Detection(label=LABEL, bounding_box=box, mask=empty)
    return mask_to_detection(Mask(rle, (x, y, width, height), area, score=1.0))


class LabelWriter:
    """Appends annotations to a field of samples as they come, in any order of images.

    Only the labels since the last write are held in memory. Use it as a context manager.

    Args:
        dataset: the dataset to write to.
        field: a field of `fo.Detections`; it is made if it is not there.
    """

    def __init__(self, dataset: fo.Dataset, field: str) -> None:
        self._dataset = dataset
        self._path = f"{field}.detections"
        self._class = label_class(field, fo.Detections)
        self._waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._count = 0
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
        dataset.add_sample_field(f"{self._path}.area", fo.FloatField)
        dataset.add_sample_field(f"{self._path}.iscrowd", fo.IntField)
        dataset.add_sample_field(f"{self._path}.{IMAGE_ID_FIELD}", fo.IntField)
        dataset.add_sample_field(f"{self._path}.coco_bbox", fo.ListField, subfield=fo.FloatField)

    def __enter__(self) -> LabelWriter:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:
            self._write()

    def add(self, sample_id: str, detection: fo.Detection) -> None:
        """Appends a detection to a sample.

        Args:
            sample_id: the sample's id in the database.
            detection: the label, as `annotation_to_detection` gives it.
        """
        self._waiting[sample_id].append(detection.to_dict())
        self._count += 1
        if self._count == _LABELS_PER_WRITE:
            self._write()

    def _write(self) -> None:
        updates = {
            sample_id: UpdateOne(
                {"_id": ObjectId(sample_id)},
                {"$push": {self._path: {"$each": labels}}, "$set": self._class},
            )
            for sample_id, labels in self._waiting.items()
        }
        write_samples(self._dataset, updates)
        self._waiting.clear()
        self._count = 0


def import_coco(
    samples: foc.SampleCollection, field: str, path: str | os.PathLike[str]
) -> dict[str, int]:
    """Reads a COCO file, results or dataset, into a new field.

    Images are found by `coco_id` where the samples have one, else by the file's name, which only
    a dataset file knows; where its ids and names disagree, by the names. Every label is called
    `object`; where the file has other classes, a label's is its attribute `category`. The file is
    streamed, and nothing is kept of one that has an error.

    Args:
        samples: a dataset or view of images with metadata.
        field: name of the field to make.
        path: the COCO json file.

    Returns:
        `labels`: the number read; `unknown_images`: the number of annotations passed over because
        their image is not among the samples.

    Raises:
        FieldError: the name is none for a field.
        CocoError: the field exists already, or something in the file is wrong.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> photos.apply_model(fop.load_model("embedded", image_size=240), label_field="promerge")
        >>> fop.export_coco(photos, "promerge", "masks.json")
        5
        >>> fop.import_coco(photos, "imported", "masks.json")
        {'labels': 5, 'unknown_images': 0}
    """
    check_field_name(field)
    dataset = root_dataset(samples)
    if dataset.has_field(field):
        raise CocoError(f"Field '{field}' exists already: choose another name or delete it first")
    file = CocoFile(path)
    targets = _targets(samples, file)
    categories = {} if file.is_results() else file.categories()
    counts = {"labels": 0, "unknown_images": 0}
    try:
        with LabelWriter(dataset, field) as writer:
            if set(categories.values()) - {LABEL}:
                dataset.add_sample_field(f"{field}.detections.category", fo.StringField)
            for what, annotation in named_annotations(file.annotations(), file.path):
                target = targets.get(annotation["image_id"])
                counts["labels" if target else "unknown_images"] += 1
                if target:
                    sample_id, size = target
                    detection = annotation_to_detection(annotation, size, what)
                    category = categories.get(annotation.get("category_id", 0), LABEL)
                    if category != LABEL:
                        detection["category"] = category
                    writer.add(sample_id, detection)
    except BaseException:
        dataset.delete_sample_field(field)
        raise
    dataset.reload()
    if counts["unknown_images"]:
        logger.warning("%d annotations are of images that are not here", counts["unknown_images"])
    return counts


def _targets(samples: foc.SampleCollection, file: CocoFile) -> dict[int, tuple[str, ImageSize]]:
    """Sample id and size by COCO image id."""
    compute_sizes(samples)
    sample_ids, paths, widths, heights = samples.values(
        ["id", "filepath", "metadata.width", "metadata.height"]
    )
    if None in widths:
        raise CocoError(f"The size of {paths[widths.index(None)]} is unknown: it cannot be read")
    targets = list(zip(sample_ids, map(ImageSize, widths, heights), strict=True))
    has_ids = samples.has_field(IMAGE_ID_FIELD)
    if file.is_results() and not has_ids:
        raise CocoError(
            f"{file.path} names its images by COCO id, and the samples have no "
            f"'{IMAGE_ID_FIELD}' to find them by"
        )
    names = {} if file.is_results() else dict(_image_names(file))
    own_names = [Path(path).name for path in paths]
    if has_ids:
        ids = samples.values(IMAGE_ID_FIELD)
        if _agree(dict(zip(ids, own_names, strict=True)), names):
            return dict(zip(ids, targets, strict=True))
    by_name = dict(zip(own_names, targets, strict=True))
    if len(by_name) < len(paths):
        raise CocoError(
            f"Several samples have the same file name, and no '{IMAGE_ID_FIELD}' of {file.path} "
            f"to tell them apart"
        )
    return {image_id: by_name[name] for image_id, name in names.items() if name in by_name}


def _agree(samples: dict[int, str], file: dict[int, str]) -> bool:
    """Whether a file's ids are those of the samples, going by the names of both by id.

    Masks made of a folder number its images themselves, and its annotations may do so otherwise.
    Where no name of the file is known, as of renamed images, only the ids are left to go by.
    """
    if not set(file.values()) & set(samples.values()):
        return True
    shared = [image_id for image_id in file if image_id in samples]
    return bool(shared) and all(samples[image_id] == file[image_id] for image_id in shared)


def _image_names(file: CocoFile) -> Iterator[tuple[int, str]]:
    """The id and the bare file name of each image of a dataset file."""
    ids = UniqueIds(f"Images of {file.path}")
    for image in file.images(("id", "file_name")):
        ids.add(image["id"])
        if not isinstance(image["file_name"], str):
            raise CocoError(
                f"{file.path}: image {image['id']} has the file_name "
                f"{shown(image['file_name'])}, which is not text"
            )
        yield image["id"], Path(image["file_name"]).name
    ids.check()
