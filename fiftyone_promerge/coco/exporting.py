"""A field of detections -> COCO json."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_promerge.fields import check_detections_field, count_samples
from fiftyone_promerge.fiftyone_internals import root_dataset
from fiftyone_promerge.provenance import recorded_run
from promerge_core.errors import CocoError
from promerge_core.runs.coco_json import CATEGORY, Kind, write_json
from promerge_core.runs.outputs import check_output

from .annotations import (
    IMAGE_ID_FIELD,
    annotation_area,
    batches,
    compute_sizes,
    read_annotations,
)

logger = logging.getLogger(__name__)


def export_coco(
    samples: foc.SampleCollection,
    field: str,
    path: str | os.PathLike[str],
    kind: Kind = "dataset",
    *,
    overwrite: bool = False,
) -> int:
    """Writes a field as COCO json that pycocotools, detectron2 and CutLER's tools read.

    Image ids are the samples' `coco_id` where they have one, else 1, 2, ... in order. File names
    are relative to the deepest folder that holds all images. Sizes that are missing are computed;
    an image without labels whose size cannot be found out is left out, with a warning. The `info`
    of a dataset names the dataset and the field, and under `run`, as in the json of
    `promerge generate`, what made the masks where that is known.

    Args:
        samples: a dataset or view of images.
        field: a field of `fo.Detections`.
        path: the file to write; if anything fails, it stays as it was. One that is there already
            is replaced only if it is an earlier export of the same field with masks made here.
        kind: `dataset` writes images, annotations and the one category, for training and looking;
            `results` writes the list that `COCO.loadRes` takes. Results with a mask have no
            `bbox`, since `loadRes` would take the box's area for the mask's.
        overwrite: whether any file that is there may be replaced.

    Returns:
        the number of annotations written.

    Raises:
        CocoError: the field is not one of detections, the size of an image with labels is
            unknown, or a label has a number that JSON does not have (NaN, infinity).
        RunError: the file cannot be written, or may not be replaced.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> photos.apply_model(fop.load_model("embedded", image_size=240), label_field="promerge")
        >>> fop.export_coco(photos, "promerge", "masks.json")
        5
    """
    check_detections_field(samples, field)
    info: dict[str, Any] = {"dataset": root_dataset(samples).name, "field": field}
    check_output(Path(path), overwrite, info)
    compute_sizes(samples)
    image_ids = _image_ids(samples)
    run = recorded_run(samples, field)
    if run is not None:
        info["run"] = run
    annotations = _annotations(samples, field, image_ids, kind)
    return write_json(Path(path), info, _images(samples, image_ids), annotations, kind)


def _annotations(
    samples: foc.SampleCollection, field: str, image_ids: list[int], kind: Kind
) -> Iterator[dict[str, Any]]:
    ids, numbers = iter(image_ids), itertools.count(1)
    for batch in batches(samples):
        found = read_annotations(batch, field, with_masks=True)
        for path, labels in zip(batch.values("filepath"), found, strict=True):
            image_id = next(ids)
            for annotation in labels:
                written = _file_annotation(annotation, next(numbers), image_id, kind)
                _check_numbers(written, path)
                yield written


def _check_numbers(written: dict[str, Any], path: str) -> None:
    for name in ("score", "bbox", "area"):
        if name in written and not np.isfinite(written[name]).all():
            raise CocoError(
                f"A label of {path} has the {name} {written[name]}, and NaN and infinity are not "
                f"JSON compliant: correct the label, or export a view without it"
            )


def _file_annotation(
    annotation: dict[str, Any], annotation_id: int, image_id: int, kind: str
) -> dict[str, Any]:
    result: dict[str, Any] = {"id": annotation_id, "image_id": image_id}
    result["category_id"] = CATEGORY["id"]
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


def _text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def _image_ids(samples: foc.SampleCollection) -> list[int]:
    if samples.has_field(IMAGE_ID_FIELD):
        ids = samples.values(IMAGE_ID_FIELD)
        if None in ids:
            raise CocoError(f"{ids.count(None)} samples have no '{IMAGE_ID_FIELD}', others have")
        return ids
    return list(range(1, count_samples(samples) + 1))


def _images(samples: foc.SampleCollection, image_ids: list[int]) -> Iterator[dict[str, Any]]:
    filepaths, widths, heights = samples.values(["filepath", "metadata.width", "metadata.height"])
    root = os.path.commonpath([str(Path(path).parent) for path in filepaths]) if filepaths else ""
    unknown = 0
    for path, width, height, image_id in zip(filepaths, widths, heights, image_ids, strict=True):
        if not (width and height):
            unknown += 1
            continue
        name = Path(path).relative_to(root).as_posix()
        yield {"id": image_id, "file_name": name, "width": width, "height": height}
    if unknown:
        logger.warning("%d images without labels cannot be read and were left out", unknown)
