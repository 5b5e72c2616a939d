"""What pycocotools says of the labels of one image, and of all images together."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from bson import ObjectId
from pycocotools.cocoeval import COCOeval
from pymongo import UpdateOne

from fiftyone_promerge.coco.annotations import annotation_area, computed_area

IouType = Literal["segm", "bbox"]
"""What is compared: masks or boxes. The names are pycocotools'."""

MAX_DETECTIONS = 100
"""Predictions per image that count, those of the highest scores: COCO's maxDets."""

ALL_AREAS = 0
"""Place of "all" in pycocotools' `areaRng` of all, small, medium and large objects."""

_IOU_50 = 0  # place of 0.5 in pycocotools' iouThrs
_KEY = (1, 1)  # pycocotools' (image id, category id): one image and one class at a time


Counts = dict[str, list[dict[str, Any]]]
"""By class, for each area range what pycocotools accumulates of an image."""


class ImageOutcome:
    """What pycocotools says of one image, class by class.

    Args:
        truth: the ground truth as `read_annotations` gives it; gets the keys pycocotools reads.
        predictions: the predictions, likewise.
        iou_type: `segm` or `bbox`.

    Attributes:
        image: for each class of its labels pycocotools' evaluation for each area range.
        matches: FiftyOne's (truth label, predicted label, IoU, confidence, truth id, predicted
            id) at IoU 0.5; None for what is not there.
    """

    def __init__(
        self, truth: list[dict[str, Any]], predictions: list[dict[str, Any]], iou_type: IouType
    ) -> None:
        for label in truth:
            label |= {"area": annotation_area(label), "ignore": label["iscrowd"]}
        for label in predictions:
            label["area"] = computed_area(label)
        self.image: dict[str, list[dict[str, Any]]] = {}
        self.matches: list[tuple[Any, ...]] = []
        for name in dict.fromkeys(label["class"] for label in (*truth, *predictions)):
            sides = tuple(
                [label for label in side if label["class"] == name] for side in (truth, predictions)
            )
            evaluator = _evaluator(iou_type)
            # Where `evaluate` would put the labels of files.
            evaluator._gts[_KEY], evaluator._dts[_KEY] = sides
            ious = evaluator.computeIoU(*_KEY)
            evaluator.ious = {_KEY: ious}
            self.image[name] = [
                evaluator.evaluateImg(*_KEY, area, MAX_DETECTIONS)
                for area in evaluator.params.areaRng
            ]
            self.matches += _pairs(name, self.image[name][ALL_AREAS], sides, ious)

    def counts(self) -> Counts:
        """What `accumulate` reads of `image`, an eighth of its memory."""
        return {
            name: [
                {
                    "dtScores": area["dtScores"],
                    "dtMatches": area["dtMatches"].astype(bool),
                    "dtIgnore": area["dtIgnore"],
                    "gtIgnore": area["gtIgnore"].astype(bool),
                }
                for area in areas
            ]
            for name, areas in self.image.items()
        }

    def update(self, sample_id: str, paths: list[str], eval_key: str) -> UpdateOne:
        """The write of the outcome to the sample and its labels.

        Args:
            sample_id: the sample's id.
            paths: the lists of labels in its document, of ground truth and of predictions.
            eval_key: name of the sample's and labels' fields to write.

        Returns:
            the write: one for the whole image takes a twentieth of six `set_values`.
        """
        values: dict[str, Any] = {f"{eval_key}_{name}": 0 for name in ("tp", "fp", "fn")}
        filters: list[Mapping[str, Any]] = []
        for _, _, iou, _, *ids in self.matches:
            status = "fn" if ids[1] is None else "fp" if ids[0] is None else "tp"
            values[f"{eval_key}_{status}"] += 1
            for path, label_id, other_id in zip(paths, ids, reversed(ids), strict=True):
                if label_id is not None:
                    name = f"label{len(filters)}"
                    filters.append({f"{name}._id": ObjectId(label_id)})
                    label = f"{path}.$[{name}].{eval_key}"
                    values |= {label: status, f"{label}_id": other_id or "", f"{label}_iou": iou}
        return UpdateOne({"_id": ObjectId(sample_id)}, {"$set": values}, array_filters=filters)


def _pairs(
    name: str, image: dict[str, Any], sides: tuple[list[dict[str, Any]], ...], ious: Any
) -> Iterator[tuple[Any, ...]]:
    """FiftyOne's matches of the labels of one class."""
    truth, predictions = ({label["id"]: label for label in side} for side in sides)
    columns = {truth_id: column for column, truth_id in enumerate(truth)}
    ignored = image["dtIgnore"][_IOU_50]
    for row, (prediction_id, truth_id) in enumerate(
        zip(image["dtIds"], image["dtMatches"][_IOU_50].astype(int), strict=True)
    ):
        prediction = predictions[prediction_id]
        score, label_id = prediction["score"], prediction["label_id"]
        if truth_id and not ignored[row]:
            iou = float(ious[row, columns[truth_id]])
            yield name, name, iou, score, truth[truth_id]["label_id"], label_id
        elif not truth_id:
            yield None, name, None, score, None, label_id
    for truth_id, matched, crowd in zip(
        image["gtIds"], image["gtMatches"][_IOU_50], image["gtIgnore"], strict=True
    ):
        if not matched and not crowd:
            yield name, None, None, None, truth[truth_id]["label_id"], None


def accumulate(images: list[Counts], iou_type: IouType, classes: Sequence[str]) -> COCOeval:
    """Precision, recall and the 12 numbers over all images.

    Args:
        images: the `counts()` of each, in the order that decides between equal scores.
        iou_type: `segm` or `bbox`.
        classes: names of all K classes; a number is the mean over those with ground truth.

    Returns:
        pycocotools' evaluator: `eval` has `precision` [10 IoUs, 101 recalls, K, 4 areas, 3
            maxDets], `recall` and `scores`, and `stats` the 12 numbers, in [0, 1] or -1.
    """
    evaluator = _evaluator(iou_type)
    evaluator.params.imgIds = list(range(len(images)))
    evaluator.params.catIds = list(range(len(classes)))
    evaluator._paramsEval = evaluator.params
    areas = range(len(evaluator.params.areaRng))
    evaluator.evalImgs = [
        image[name][area] if name in image else None
        for name in classes
        for area in areas
        for image in images
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def _evaluator(iou_type: IouType) -> COCOeval:
    evaluator = COCOeval(iouType=iou_type)
    evaluator.params.catIds = [1]
    return evaluator
