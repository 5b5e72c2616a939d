"""COCO json -> a field of detections."""

from __future__ import annotations

import logging
import math
import os
from array import array
from collections import defaultdict
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

logger = logging.getLogger(__name__)

_LABELS_PER_WRITE = 5000
_KEPT = (("area", "area", float), ("iscrowd", "iscrowd", int), ("id", IMAGE_ID_FIELD, int))


def annotation_to_detection(annotation: dict[str, Any], size: ImageSize) -> fo.Detection:
    """Turns a COCO annotation or result into a detection with the class label `object`.

    Args:
        annotation: `segmentation` (polygons or RLE) or `bbox` or both; `score`, `area`, `iscrowd`
            and `id` where it has them.
        size: the image's.

    Returns:
        the label; beside what FiftyOne needs it has COCO's own `coco_bbox`, `area`, `iscrowd` and
        `coco_id` where the annotation has them.

    Raises:
        CocoError: neither mask nor box, an RLE of another size than its image, a negative box, a
            score that is not a finite number.
    """
    what = f"Annotation {annotation.get('id', '(no id)')} of image {annotation['image_id']}"
    bbox, score = annotation.get("bbox"), annotation.get("score")
    if score is not None and not _is_finite(score):
        raise CocoError(f"{what} has the score {score!r}, which is not a finite number")
    if bbox is not None:
        _check_box(bbox, what)
    if annotation.get("segmentation"):
        rle = _annotation_rle(annotation["segmentation"], size, what)
        detection = _mask_detection(rle, size)
    elif bbox is not None:
        box = relative_box(bbox, size.width, size.height)
        detection = fo.Detection(label=LABEL, bounding_box=box)
    else:
        raise CocoError(f"{what} has neither a segmentation nor a bbox")
    detection.confidence = score
    if bbox is not None:
        detection["coco_bbox"] = [float(side) for side in bbox]
    for key, name, kind in _KEPT:
        if annotation.get(key) is not None:
            detection[name] = kind(annotation[key])
    return detection


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def _check_box(bbox: Any, what: str) -> None:
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_finite, bbox)):
        raise CocoError(f"{what} has the box {bbox!r}, which is not four finite numbers")
    if bbox[2] < 0 or bbox[3] < 0:
        raise CocoError(f"{what} has the box {bbox} of negative width or height")


def _annotation_rle(segmentation: Any, size: ImageSize, what: str) -> dict[str, Any]:
    """Polygons or RLE, compressed or not, as compressed RLE of the image's size."""
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, size.height, size.width))
    if list(segmentation["size"]) != [size.height, size.width]:
        raise CocoError(
            f"{what} has an RLE of size {segmentation['size']}, its image has "
            f"[{size.height}, {size.width}]"
        )
    if isinstance(segmentation["counts"], list):
        if sum(segmentation["counts"]) != size.width * size.height:
            raise CocoError(f"{what} has an RLE whose runs do not add up to its size")
        return coco_mask.frPyObjects(segmentation, size.height, size.width)
    return segmentation


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


class UniqueIds:
    """Notices an id that comes twice, in 8 bytes per id.

    Args:
        what: what the ids are of, for the error message.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._ids = array("q")

    def add(self, number: int) -> None:
        """Takes one id.

        Raises:
            CocoError: it is not an integer.
        """
        if not isinstance(number, int):
            raise CocoError(f"{self._what}: the id {number!r} is not an integer")
        self._ids.append(number)

    def check(self) -> None:
        """Compares all ids.

        Raises:
            CocoError: one came twice.
        """
        ids, counts = np.unique(np.asarray(self._ids, dtype=np.int64), return_counts=True)
        if (counts > 1).any():
            raise CocoError(f"{self._what}: id {ids[counts > 1][0]} is there more than once")


def import_coco(
    samples: foc.SampleCollection, field: str, path: str | os.PathLike[str]
) -> dict[str, int]:
    """Reads a COCO file, results or dataset, into a new field.

    Images are found by `coco_id` where the samples have one, else by the file's name, which only
    a dataset file knows. The file is streamed, and nothing is kept of one that has an error.

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
    counts = {"labels": 0, "unknown_images": 0}
    ids = UniqueIds(f"Annotations of {file.path}")
    try:
        with LabelWriter(dataset, field) as writer:
            for annotation in file.annotations():
                if "id" in annotation:
                    ids.add(annotation["id"])
                target = targets.get(annotation["image_id"])
                counts["labels" if target else "unknown_images"] += 1
                if target:
                    sample_id, size = target
                    writer.add(sample_id, annotation_to_detection(annotation, size))
        ids.check()
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
    sizes = map(ImageSize, widths, heights)
    targets = list(zip(sample_ids, sizes, strict=True))
    if samples.has_field(IMAGE_ID_FIELD):
        return dict(zip(samples.values(IMAGE_ID_FIELD), targets, strict=True))
    if file.is_results():
        raise CocoError(
            f"{file.path} names its images by COCO id, and the samples have no "
            f"'{IMAGE_ID_FIELD}' to find them by"
        )
    by_name = dict(zip((Path(path).name for path in paths), targets, strict=True))
    if len(by_name) < len(paths):
        raise CocoError(
            f"Several samples have the same file name, and no '{IMAGE_ID_FIELD}' to tell them apart"
        )
    names = ((image["id"], Path(image["file_name"]).name) for image in file.images())
    return {image_id: by_name[name] for image_id, name in names if name in by_name}
