"""What pycocotools says of the labels of one image, and of all images together."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from bson import ObjectId
from pycocotools.cocoeval import COCOeval
from pymongo import UpdateOne

from fiftyone_promerge.coco.annotations import annotation_area, computed_area
from fiftyone_promerge.labels import LABEL

IouType = Literal["segm", "bbox"]
"""What is compared: masks or boxes. The names are pycocotools'."""

MAX_DETECTIONS = 100
"""Predictions per image that count, those of the highest scores: COCO's maxDets."""

ALL_AREAS = 0
"""Place of "all" in pycocotools' `areaRng` of all, small, medium and large objects."""

_IOU_50 = 0  # place of 0.5 in pycocotools' iouThrs
_KEY = (1, 1)  # pycocotools' (image id, category id): one image and one class at a time


class ImageOutcome:
    """What pycocotools says of one image, all its labels taken as one class.

    Args:
        truth: the ground truth as `read_annotations` gives it; gets the keys pycocotools reads.
        predictions: the predictions, likewise.
        iou_type: `segm` or `bbox`.

    Attributes:
        image: pycocotools' evaluation of the image for each area range; None in place of each for
            an image without labels.
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
        evaluator = _evaluator(iou_type)
        # Where `evaluate` would put the labels of files.
        evaluator._gts[_KEY], evaluator._dts[_KEY] = truth, predictions
        ious = evaluator.computeIoU(*_KEY)
        evaluator.ious = {_KEY: ious}
        self.image = [
            evaluator.evaluateImg(*_KEY, area, MAX_DETECTIONS) for area in evaluator.params.areaRng
        ]
        self._labels = (truth, predictions)
        self.matches = list(self._pairs(self.image[ALL_AREAS], ious))

    def _pairs(self, image: dict[str, Any] | None, ious: Any) -> Iterator[tuple[Any, ...]]:
        if image is None:
            return
        truth, predictions = ({label["id"]: label for label in side} for side in self._labels)
        ignored = image["dtIgnore"][_IOU_50]
        for row, (prediction_id, truth_id) in enumerate(
            zip(image["dtIds"], image["dtMatches"][_IOU_50].astype(int), strict=True)
        ):
            prediction = predictions[prediction_id]
            score, label_id = prediction["score"], prediction["label_id"]
            if truth_id and not ignored[row]:
                iou = float(ious[row, truth_id - 1])
                yield LABEL, LABEL, iou, score, truth[truth_id]["label_id"], label_id
            elif not truth_id:
                yield None, LABEL, None, score, None, label_id
        for truth_id, matched, crowd in zip(
            image["gtIds"], image["gtMatches"][_IOU_50], image["gtIgnore"], strict=True
        ):
            if not matched and not crowd:
                yield LABEL, None, None, None, truth[truth_id]["label_id"], None

    def counts(self) -> list[dict[str, Any] | None]:
        """What `accumulate` reads of `image`, an eighth of its memory."""
        return [
            area
            and {
                "dtScores": area["dtScores"],
                "dtMatches": area["dtMatches"].astype(bool),
                "dtIgnore": area["dtIgnore"],
                "gtIgnore": area["gtIgnore"].astype(bool),
            }
            for area in self.image
        ]

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


def accumulate(images: list[list[dict[str, Any] | None]], iou_type: IouType) -> COCOeval:
    """Precision, recall and the 12 numbers over all images.

    Args:
        images: the `counts()` of each, in the order that decides between equal scores.
        iou_type: `segm` or `bbox`.

    Returns:
        pycocotools' evaluator: `eval` has `precision` [10 IoUs, 101 recalls, 1, 4 areas, 3
            maxDets], `recall` and `scores`, and `stats` the 12 numbers, in [0, 1] or -1.
    """
    evaluator = _evaluator(iou_type)
    evaluator.params.imgIds = list(range(len(images)))
    evaluator._paramsEval = evaluator.params
    areas = range(len(evaluator.params.areaRng))
    evaluator.evalImgs = [image[area] for area in areas for image in images]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def _evaluator(iou_type: IouType) -> COCOeval:
    evaluator = COCOeval(iouType=iou_type)
    evaluator.params.catIds = [1]
    return evaluator
