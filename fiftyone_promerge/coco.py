"""COCO json <-> detections of a dataset: reading, writing, and the annotation of one label.

A label keeps COCO's own numbers beside what FiftyOne needs, because neither can be had back from
its mask: `coco_bbox` (x, y, width, height in pixels), `area` (pixels) and `iscrowd` (0 or 1).
"""

from __future__ import annotations

import json
import logging
import math
import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import ijson
import numpy as np
from bson import ObjectId
from pycocotools import mask as coco_mask
from pymongo import UpdateOne

from promerge_core import Mask, PromergeError
from promerge_core.masks import encode_rle

from .labels import LABEL, detection_to_mask, mask_to_detection

logger = logging.getLogger(__name__)

IMAGE_ID_FIELD = "coco_id"
"""Field of a sample, and attribute of a label, that holds its id in the COCO file."""

BATCH_SIZE = 250
"""Images read at a time: enough to hide the database's latency, few enough to stay small."""

_LABELS_PER_WRITE = 5000
_KEPT = (("area", "area", float), ("iscrowd", "iscrowd", int), ("id", IMAGE_ID_FIELD, int))


class CocoError(PromergeError):
    """A COCO file, or a field that should become one, has something in it that is not COCO."""


class ImageSize(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


# --- a label as a COCO annotation ---------------------------------------------------------------


def read_annotations(
    samples: foc.SampleCollection, field: str, *, with_masks: bool
) -> list[list[dict[str, Any]]]:
    """Reads the labels of a field as COCO annotations, all at once.

    Args:
        samples: a dataset or view, small enough for its masks to be held in memory.
        field: a field of `fo.Detections`.
        with_masks: whether to read masks; without them there is no `segmentation`.

    Returns:
        per sample its annotations, in the label's order: `id` (from 1 within the sample),
        `label_id` (str), `score` (float or None), `iscrowd` (0 or 1), `bbox` (COCO's own where the
        label has it; x, y, width, height in pixels), `segmentation` (COCO compressed RLE, absent
        where there is no mask) and `given_area` (COCO's own area or None).

    Raises:
        CocoError: an image's size is unknown.
    """
    names = ["id", "bounding_box", "confidence", "iscrowd", "area", "coco_bbox"]
    if with_masks:
        names += ["mask", "mask_path"]
    paths = [f"{field}.detections.{name}" for name in names]
    filepaths, widths, heights, *columns = samples.values(
        ["filepath", "metadata.width", "metadata.height", *paths]
    )
    result = []
    for filepath, width, height, *attributes in zip(
        filepaths, widths, heights, *columns, strict=True
    ):
        labels = [
            dict(zip(names, values, strict=True))
            for values in zip(*(column or [] for column in attributes), strict=True)
        ]
        if labels and not (width and height):
            raise CocoError(
                f"The size of {filepath} is unknown: call compute_metadata() where the image can "
                "be read, or set its metadata"
            )
        size = ImageSize(width, height)
        result.append(
            [_label_annotation(label, size) | {"id": i} for i, label in enumerate(labels, 1)]
        )
    return result


def _label_annotation(label: dict[str, Any], size: ImageSize) -> dict[str, Any]:
    annotation = {
        "label_id": label["id"],
        "score": label["confidence"],
        "iscrowd": int(label["iscrowd"] or 0),
        "given_area": label["area"],
        "bbox": label["coco_bbox"] or _pixel_box(label["bounding_box"], size),
    }
    if label.get("mask") is not None or label.get("mask_path"):
        annotation["segmentation"] = _label_rle(label, size)
    return annotation


def _pixel_box(bounding_box: list[float], size: ImageSize) -> list[float]:
    """Relative to absolute; rounded to recover the number that was divided by the size.

    Otherwise an IoU of exactly 0.5 becomes one just below it.
    """
    x, y, width, height = bounding_box
    box = (x * size.width, y * size.height, width * size.width, height * size.height)
    return [round(side, 6) for side in box]


def _label_rle(label: dict[str, Any], size: ImageSize) -> dict[str, Any]:
    """The label's mask as compressed RLE of the whole image."""
    x, y, width, height = (round(side) for side in _pixel_box(label["bounding_box"], size))
    mask = label.get("mask")
    inside = x >= 0 and y >= 0 and x + width <= size.width and y + height <= size.height
    if mask is not None and mask.shape == (height, width) and inside:
        return _crop_rle(mask > 0, x, y, size)
    detection = fo.Detection(
        bounding_box=label["bounding_box"], mask=mask, mask_path=label["mask_path"]
    )
    return encode_rle(detection_to_mask(detection, *size)[None])[0]


def _crop_rle(crop: np.ndarray, x: int, y: int, size: ImageSize) -> dict[str, Any]:
    """RLE of an image that is empty but for `crop` (bool [h, w]) with its corner at (x, y).

    Encoding the crop's columns and not the whole image makes evaluation several times faster.
    """
    columns = np.zeros((crop.shape[1], size.height), dtype=bool)
    columns[:, y : y + crop.shape[0]] = crop.T
    edges = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False))
    ends = np.append(edges + x * size.height, size.width * size.height)
    counts = np.diff(ends, prepend=0)
    if counts[-1] == 0:
        counts = counts[:-1]
    rle = {"size": [size.height, size.width], "counts": counts.tolist()}
    return coco_mask.frPyObjects(rle, size.height, size.width)


def batches(samples: foc.SampleCollection) -> Iterator[foc.SampleCollection]:
    """Splits samples into views of at most `BATCH_SIZE`, in order."""
    for start in range(0, len(samples), BATCH_SIZE):
        yield samples[start : start + BATCH_SIZE]


def check_detections_field(samples: foc.SampleCollection, field: str) -> None:
    """Makes sure that a field holds `fo.Detections` of images.

    Raises:
        CocoError: there is no such field, or it has another type.
    """
    schema = samples.get_field_schema(flat=False)
    if field not in schema:
        known = ", ".join(samples.get_field_schema(embedded_doc_type=fo.Detections)) or "none"
        raise CocoError(f"There is no field '{field}'; the fields of Detections are: {known}")
    found = getattr(schema[field], "document_type", type(schema[field]))
    if found is not fo.Detections:
        raise CocoError(f"Field '{field}' holds {found.__name__}, not Detections")


# --- writing a file -----------------------------------------------------------------------------


def export_coco(
    samples: foc.SampleCollection,
    field: str,
    path: str | os.PathLike[str],
    kind: Literal["dataset", "results"] = "dataset",
) -> int:
    """Writes a field as COCO json that pycocotools, detectron2 and CutLER's tools read.

    Image ids are the samples' `coco_id` where they have one, else 1, 2, ... in order. File names
    are relative to the deepest folder that holds all images.

    Args:
        samples: a dataset or view of images with metadata.
        field: a field of `fo.Detections`.
        path: the file to write.
        kind: `dataset` writes images, annotations and the one category, for training and looking;
            `results` writes the list that `COCO.loadRes` takes. Results with a mask have no
            `bbox`, since `loadRes` would take the box's area for the mask's.

    Returns:
        the number of annotations written.

    Raises:
        CocoError: the field is not one of detections, or an image's size is unknown.
    """
    check_detections_field(samples, field)
    image_ids = _image_ids(samples)
    written = 0

    def annotations() -> Iterator[dict[str, Any]]:
        nonlocal written
        start = 0
        for batch in batches(samples):
            labels = read_annotations(batch, field, with_masks=True)
            for image_id, found in zip(image_ids[start:], labels, strict=False):
                for annotation in found:
                    written += 1
                    yield _file_annotation(annotation, written, image_id, kind)
            start += len(labels)

    with Path(path).open("w", encoding="utf-8") as file:
        if kind == "results":
            _write_list(file, annotations())
            return written
        category = {"id": 1, "name": LABEL, "supercategory": LABEL}
        file.write('{"info": {}, "licenses": [], "categories": ')
        json.dump([category], file)
        file.write(', "images": ')
        _write_list(file, _images(samples, image_ids))
        file.write(', "annotations": ')
        _write_list(file, annotations())
        file.write("}")
    return written


def _file_annotation(
    annotation: dict[str, Any], annotation_id: int, image_id: int, kind: str
) -> dict[str, Any]:
    result: dict[str, Any] = {"id": annotation_id, "image_id": image_id, "category_id": 1}
    rle = annotation.get("segmentation")
    if rle is not None:
        result["segmentation"] = {"size": rle["size"], "counts": _text(rle["counts"])}
    if rle is None or kind == "dataset":
        result["bbox"] = annotation["bbox"]
    if kind == "dataset":
        result["area"] = annotation_area(annotation)
        result["iscrowd"] = annotation["iscrowd"]
    if annotation["score"] is not None:
        result["score"] = annotation["score"]
    return result


def annotation_area(annotation: dict[str, Any]) -> float:
    """COCO's own area in pixels where there is one, else the mask's, else the box's."""
    if annotation["given_area"] is not None:
        return float(annotation["given_area"])
    return computed_area(annotation)


def computed_area(annotation: dict[str, Any]) -> float:
    """Area in pixels of an annotation's mask, or of its box where it has no mask."""
    if "segmentation" in annotation:
        return float(coco_mask.area(annotation["segmentation"]))
    return float(annotation["bbox"][2] * annotation["bbox"][3])


def _text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def _image_ids(samples: foc.SampleCollection) -> list[int]:
    if samples.has_field(IMAGE_ID_FIELD):
        ids = samples.values(IMAGE_ID_FIELD)
        if None in ids:
            raise CocoError(f"{ids.count(None)} samples have no '{IMAGE_ID_FIELD}', others have")
        return ids
    return list(range(1, len(samples) + 1))


def _images(samples: foc.SampleCollection, image_ids: list[int]) -> Iterator[dict[str, Any]]:
    filepaths, widths, heights = samples.values(["filepath", "metadata.width", "metadata.height"])
    root = os.path.commonpath([str(Path(path).parent) for path in filepaths]) if filepaths else ""
    for path, width, height, image_id in zip(filepaths, widths, heights, image_ids, strict=True):
        name = Path(path).relative_to(root).as_posix()
        yield {"id": image_id, "file_name": name, "width": width, "height": height}


def _write_list(file: IO[str], items: Iterable[dict[str, Any]]) -> None:
    file.write("[")
    for index, item in enumerate(items):
        file.write(",\n" if index else "\n")
        json.dump(item, file, allow_nan=False)
    file.write("\n]")


# --- reading a file -----------------------------------------------------------------------------


class CocoFile:
    """A COCO json file, read as a stream: it is never held in memory.

    Args:
        path: a file with `images` and `annotations`, or a list of results.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def images(self) -> Iterator[dict[str, Any]]:
        """The images, each with at least `id`, `width` and `height`.

        Raises:
            CocoError: the file is not COCO json.
        """
        found = False
        for image in self._items("images.item"):
            found = True
            yield _with_keys(image, ("id", "width", "height"), f"An image of {self.path}")
        if not found:
            raise CocoError(f"{self.path} is not a COCO dataset: it has no images")

    def annotations(self) -> Iterator[dict[str, Any]]:
        """The annotations or results, in the file's order, each with at least `image_id`.

        Raises:
            CocoError: the file is not COCO json.
        """
        results = self.is_results()
        prefix = "item" if results else "annotations.item"
        keys = ["image_id"] if results else ["id", "image_id"]
        for annotation in self._items(prefix):
            yield _with_keys(annotation, keys, f"An annotation of {self.path}")

    def categories(self) -> dict[int, str]:
        """Names of the categories by id; empty where the file has none."""
        return {item["id"]: item["name"] for item in self._items("categories.item")}

    def is_results(self) -> bool:
        """Whether the file is a list of results and not a dataset.

        Raises:
            CocoError: it is neither.
        """
        keys = {"images", "annotations"}
        with self.path.open("rb") as file:
            try:
                for prefix, event, value in ijson.parse(file):
                    if (prefix, event) == ("", "start_array"):
                        return True
                    if (prefix, event) == ("", "map_key") and value in keys:
                        return False
            except ijson.JSONError as error:
                raise self._not_json(error) from error
        raise CocoError(f"{self.path} is not a COCO file: it has no list 'images' or 'annotations'")

    def _items(self, prefix: str) -> Iterator[Any]:
        with self.path.open("rb") as file:
            try:
                yield from ijson.items(file, prefix, use_float=True)
            except ijson.JSONError as error:
                raise self._not_json(error) from error

    def _not_json(self, error: Exception) -> CocoError:
        reason = " ".join(str(error).split())
        return CocoError(f"{self.path} is not valid JSON (NaN is not either): {reason}")


def _with_keys(item: Any, keys: Sequence[str], what: str) -> dict[str, Any]:
    missing = [key for key in keys if not isinstance(item, dict) or key not in item]
    if missing:
        raise CocoError(f"{what} has no {' and no '.join(missing)}: {str(item)[:80]}")
    return item


def annotation_to_detection(annotation: dict[str, Any], size: ImageSize) -> fo.Detection:
    """Turns a COCO annotation or result into a detection with the class label `object`.

    Args:
        annotation: `segmentation` (polygons or RLE) or `bbox` or both; `score`, `area`, `iscrowd`
            and `id` where it has them.
        size: the image's.

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
        detection = fo.Detection(label=LABEL, bounding_box=_relative_box(bbox, size))
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
        box = _relative_box([0, 0, 1, 1], size)
        return fo.Detection(label=LABEL, bounding_box=box, mask=empty)
    return mask_to_detection(Mask(rle, (x, y, width, height), area, score=1.0))


def _relative_box(bbox: list[float], size: ImageSize) -> list[float]:
    x, y, width, height = bbox
    return [x / size.width, y / size.height, width / size.width, height / size.height]


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
        self._class = {f"{field}._cls": "Detections"}
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
        """Appends a detection to a sample."""
        self._waiting[sample_id].append(detection.to_dict())
        self._count += 1
        if self._count == _LABELS_PER_WRITE:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            self._dataset._bulk_write(
                [
                    UpdateOne(
                        {"_id": ObjectId(sample_id)},
                        {"$push": {self._path: {"$each": labels}}, "$set": self._class},
                    )
                    for sample_id, labels in self._waiting.items()
                ],
                ids=list(self._waiting),
            )
        self._waiting.clear()
        self._count = 0


class UniqueIds:
    """Notices an id that comes twice, in 8 bytes an id.

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
        CocoError: the field exists already, or something in the file is wrong.
    """
    dataset = samples._root_dataset
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
    if samples.exists("metadata.width", False):
        samples.compute_metadata()
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
