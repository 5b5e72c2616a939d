"""A field of detections -> COCO json."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import fiftyone.core.collections as foc

from fiftyone_promerge.labels import LABEL

from .annotations import (
    IMAGE_ID_FIELD,
    CocoError,
    annotation_area,
    batches,
    check_detections_field,
    read_annotations,
)


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
