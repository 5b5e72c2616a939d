"""What is from a COCO file, checked before anything is made of it.

pycocotools, which draws polygons, ends the process where their coordinates are too large for it.
"""

from __future__ import annotations

import math
import reprlib
import sys
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from promerge_core.errors import CocoError
from promerge_core.masks.rle import compressed_rle

from .annotations import ImageSize

_FAR = 10
"""How many times the image's longer side a coordinate may be: what is outside is cut off."""

_LONGEST_OUTLINE = 4_000_000
"""Pixels; pycocotools needs 80 bytes for each."""

_MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Of the largest image that Pillow opens."""

_LARGEST = sys.float_info.max

_IDS = range(-(2**63), 2**63)
"""What the database can hold."""


def is_id(value: Any) -> bool:
    """Whether this is a whole number that the database can hold."""
    return type(value) is int and value in _IDS


def is_finite(value: Any) -> bool:
    """Whether this is a number, and neither NaN nor infinite."""
    return type(value) in (int, float) and -_LARGEST <= value <= _LARGEST


class UniqueIds:
    """Notices an id that comes twice, in 8 bytes per id.

    Args:
        what: what the ids are of, for the error message.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._ids = array("q")

    def add(self, number: Any) -> None:
        """Takes one id.

        Raises:
            CocoError: it is not an integer, or one of more than 64 bits.
        """
        if not is_id(number):
            raise CocoError(f"{self._what}: the id {shown(number)} is not an integer of 64 bits")
        self._ids.append(number)

    def check(self) -> None:
        """Compares all ids.

        Raises:
            CocoError: one came twice.
        """
        ids, counts = np.unique(np.asarray(self._ids, dtype=np.int64), return_counts=True)
        if (counts > 1).any():
            raise CocoError(f"{self._what}: id {ids[counts > 1][0]} is there more than once")


def shown(value: Any) -> str:
    """A wrong value as an error message shows it: on one line, and not all of a long one."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python prints no number of more than 4300 digits
        return "a number of thousands of digits"


def named_annotations(
    annotations: Iterable[dict[str, Any]], path: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Checks the ids of annotations as they come.

    Args:
        annotations: the annotations of one file, each with an `image_id`.
        path: the file.

    Returns:
        an iterator over the annotations, each with what an error message calls it: the file and
        the annotation's id, or its place in the file where it has none.

    Raises:
        CocoError: an id is not an integer, or came twice.
    """
    ids = UniqueIds(f"Annotations of {path}")
    for place, annotation in enumerate(annotations, 1):
        if "id" in annotation:
            ids.add(annotation["id"])
            name = f"{path}: annotation {annotation['id']}"
        else:
            name = f"{path}: annotation number {place}, which has no id,"
        if not is_id(annotation["image_id"]):
            raise CocoError(
                f"{name} has the image_id {shown(annotation['image_id'])}, which is not an integer"
            )
        yield f"{name} of image {annotation['image_id']}", annotation
    ids.check()


def check_image(image: dict[str, Any], path: Path) -> None:
    """Checks an image that is made a sample of.

    Args:
        image: `id`, `width`, `height` in pixels.
        path: the file it stands in.

    Raises:
        CocoError: its size is not that of an image.
    """
    sides: list[Any] = [image.get(side) for side in ("width", "height")]
    if not all(type(side) is int and side > 0 for side in sides):
        raise CocoError(
            f"{path}: image {image['id']} has the width and height {shown(sides)}, which are not "
            f"whole numbers above zero"
        )
    if math.prod(sides) > _MOST_PIXELS:
        raise CocoError(
            f"{path}: image {image['id']} has more pixels than the {_MOST_PIXELS} that are read"
        )


def check_numbers(annotation: dict[str, Any], size: ImageSize, what: str) -> None:
    """Checks everything in an annotation or result but its segmentation.

    Args:
        annotation: the annotation; what it does not have, or has as null, is not checked.
        size: its image's.
        what: what an error message calls it.

    Raises:
        CocoError: a value is not what COCO has there.
    """
    if annotation.get("bbox") is not None:
        _check_box(annotation["bbox"], size, what)
    for key in ("score", "area"):
        value = annotation.get(key)
        if value is not None and not is_finite(value):
            raise CocoError(f"{what} has the {key} {shown(value)}, which is not a finite number")
    if annotation.get("iscrowd") not in (None, 0, 1):
        raise CocoError(f"{what} has iscrowd {shown(annotation['iscrowd'])}, which is not 0 or 1")
    for key in ("id", "category_id"):
        value = annotation.get(key)
        if value is not None and not is_id(value):
            raise CocoError(f"{what} has the {key} {shown(value)}, which is not an integer")


def _check_box(bbox: Any, size: ImageSize, what: str) -> None:
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(is_finite, bbox)):
        raise CocoError(f"{what} has the box {shown(bbox)}, which is not four finite numbers")
    if bbox[2] < 0 or bbox[3] < 0:
        raise CocoError(f"{what} has the box {bbox} of negative width or height")
    if max(map(abs, bbox)) > _FAR * max(size):
        raise CocoError(f"{what} has the box {bbox} far outside its image of {_words(size)}")


def annotation_rle(segmentation: Any, size: ImageSize, what: str) -> dict[str, Any]:
    """The mask of an annotation, checked before pycocotools sees it.

    Args:
        segmentation: polygons or RLE, compressed or not.
        size: the image's.
        what: what an error message calls the annotation.

    Returns:
        compressed RLE of the image's size.

    Raises:
        CocoError: it is neither polygons nor RLE, or one that is wrong.
    """
    if isinstance(segmentation, list):
        polygons = [_checked_polygon(polygon, size, what) for polygon in segmentation]
        return coco_mask.merge(coco_mask.frPyObjects(polygons, size.height, size.width))
    if not isinstance(segmentation, dict):
        raise CocoError(f"{what} has a segmentation that is neither polygons nor RLE")
    rle = compressed_rle(segmentation, what)
    if rle["size"] != [size.height, size.width]:
        raise CocoError(
            f"{what} has an RLE of size {rle['size']}, its image has [{size.height}, {size.width}]"
        )
    return rle


def _checked_polygon(polygon: Any, size: ImageSize, what: str) -> list[float]:
    """The polygon as it stands; pycocotools cuts off what is outside the image."""
    if not isinstance(polygon, list) or not all(map(is_finite, polygon)):
        raise CocoError(f"{what} has a polygon that is not a list of finite numbers")
    if len(polygon) < 6 or len(polygon) % 2:
        raise CocoError(
            f"{what} has a polygon of {len(polygon)} numbers, which are not the x and y of three "
            f"points or more"
        )
    if max(max(polygon), -min(polygon)) > _FAR * max(size):
        raise CocoError(f"{what} has a polygon far outside its image of {_words(size)}")
    if len(polygon) * _FAR * max(size) > _LONGEST_OUTLINE:
        points = np.array(polygon).reshape(-1, 2)
        outline = np.abs(np.diff(points, axis=0, append=points[:1])).max(1).sum()
        if outline > _LONGEST_OUTLINE:
            raise CocoError(f"{what} has a polygon whose outline is {outline:.0f} pixels long")
    return polygon


def _words(size: ImageSize) -> str:
    return f"{size.width} x {size.height} pixels"
