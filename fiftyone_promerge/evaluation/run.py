"""COCO AP and AR as a FiftyOne evaluation run, with pycocotools' numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.utils.eval.coco as fouc

from fiftyone_promerge.fields import check_detections_field, check_eval_key

from .matching import IouType
from .method import EvaluationError, PycocotoolsEvaluationConfig


def evaluate(
    samples: foc.SampleCollection,
    pred_field: str,
    gt_field: str = "ground_truth",
    eval_key: str | None = "eval",
    iou_type: IouType = "segm",
    progress: bool | Callable[[Any], None] | None = None,
    *,
    classes: str | None = None,
) -> fouc.COCODetectionResults:
    """Evaluates instance masks or boxes as pycocotools does, class-agnostically or class by class.

    All labels count as one class, unless `classes` says what tells them apart. Crowds are ignored
    as COCO ignores them. Images are taken in ascending order of their field `coco_id` where they
    have one, else in the samples' order: with tied scores AP depends on it. At most 100
    predictions per image and class count. Of the ground truth, COCO's own boxes and areas are used
    where the labels have them (`coco_bbox`, `area`).

    Each label gets `{eval_key}` ("tp", "fp" or "fn" at IoU 0.5), `{eval_key}_id` and
    `{eval_key}_iou`, and each sample `{eval_key}_tp`, `_fp` and `_fn`. Crowds, what matches only
    a crowd, and predictions past the 100th get none.

    Args:
        samples: a dataset or view of images.
        pred_field: the field of predicted `fo.Detections`, each with a confidence.
        gt_field: the field of ground truth `fo.Detections`.
        eval_key: the name to keep the run under, replacing an earlier run of the same fields;
            None keeps nothing.
        iou_type: `segm` for masks, `bbox` for boxes.
        progress: whether to draw a progress bar (None: FiftyOne's setting), or a function to call.
        classes: the attribute of the ground truth with the name of a label's class, `label` or
            such as `category`; of the predictions it is `label`. A number is then the mean over
            the classes that are in the ground truth. None: all labels count as one class.

    Returns:
        FiftyOne's results, whose `metrics()` include AP, AP50, AP75, APs, APm, APl, AR1, AR10,
        AR100, ARs, ARm and ARl in [0, 1], or -1 where there is no ground truth of that size.

    Raises:
        EvaluationError: a label lacks a mask, a prediction lacks a finite confidence, or both
            fields are the same.
        FieldError: `eval_key` would overwrite a field that is not of an evaluation.
        CocoError: a field is not one of detections, an image's size is unknown, or a label has no
            class.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> for method in ("promerge", "maskcut"):
        ...     model = fop.load_model("embedded", method, image_size=240)
        ...     photos.apply_model(model, label_field=method)
        >>> results = fop.evaluate(photos, "promerge", gt_field="maskcut")
        >>> round(results.metrics()["AP50"], 2)
        0.4
    """
    if iou_type not in ("segm", "bbox"):
        raise EvaluationError(f"iou_type is '{iou_type}': choose 'segm' (masks) or 'bbox' (boxes)")
    check_fields(samples, pred_field, gt_field)
    if eval_key is not None:
        check_eval_key(samples, eval_key, (pred_field, gt_field))
    config = PycocotoolsEvaluationConfig(pred_field, gt_field, use_masks=iou_type == "segm")
    # What fo.evaluate_detections does, less its loop: it loads sample by sample, six times slower.
    config.classwise = classes is not None
    method = config.build()
    method.classes = classes
    method.register_run(samples, eval_key)
    method.register_samples(samples, eval_key)
    results = method.generate_results(samples, [], eval_key=eval_key, progress=progress)
    if eval_key is not None:
        method.save_run_results(samples, eval_key, results)
        method.add_fields_to_sidebar_group(samples, eval_key, omit_fields=(pred_field, gt_field))
    return results


def check_fields(samples: foc.SampleCollection, pred_field: str, gt_field: str) -> None:
    """Checks that two fields can be compared.

    Args:
        samples: a dataset or view of images.
        pred_field: the field of predictions.
        gt_field: the field of ground truth.

    Raises:
        EvaluationError: both are the same.
        CocoError: a field is not one of detections.
    """
    for field in (pred_field, gt_field):
        check_detections_field(samples, field)
    if pred_field == gt_field:
        raise EvaluationError(f"'{gt_field}' cannot be judged by itself: choose another field")
