"""COCO AP and AR as a FiftyOne evaluation run, with pycocotools' numbers.

FiftyOne's own COCO method sorts all true positives before all false positives of the same score,
so that AP is too high where scores tie; pycocotools does the counting here. A run of ours is
stored as one of FiftyOne's COCO runs: it loads where this package is not installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.utils as fou
import fiftyone.utils.eval.coco as fouc
from pycocotools.cocoeval import COCOeval

from fiftyone_promerge.coco.annotations import (
    IMAGE_ID_FIELD,
    batches,
    compute_sizes,
    read_annotations,
)
from fiftyone_promerge.fields import check_detections_field, check_eval_key, count_samples
from fiftyone_promerge.fiftyone_internals import write_samples
from fiftyone_promerge.labels import LABEL
from promerge_core import PromergeError

from .matching import ALL_AREAS, MAX_DETECTIONS, ImageOutcome, IouType, accumulate
from .words import panel_label

METHOD = "pycocotools"
"""Our name among FiftyOne's detection evaluation methods."""

METRICS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
"""The 12 numbers in the order of `COCOeval.stats`; -1 where there is no such ground truth."""


class EvaluationError(PromergeError):
    """A field cannot be evaluated as asked."""


def evaluate(
    samples: foc.SampleCollection,
    pred_field: str,
    gt_field: str = "ground_truth",
    eval_key: str | None = "eval",
    iou_type: IouType = "segm",
    progress: bool | Callable[[Any], None] | None = None,
) -> fouc.COCODetectionResults:
    """Evaluates instance masks or boxes, class-agnostically, as pycocotools does.

    All labels count as one class. Crowds are ignored as COCO ignores them. Images are taken in
    ascending order of their field `coco_id` where they have one, else in the samples' order: with
    tied scores AP depends on it. At most 100 predictions per image count. Of the ground truth,
    COCO's own boxes and areas are used where the labels have them (`coco_bbox`, `area`).

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

    Returns:
        FiftyOne's results, whose `metrics()` include AP, AP50, AP75, APs, APm, APl, AR1, AR10,
        AR100, ARs, ARm and ARl in [0, 1], or -1 where there is no ground truth of that size.

    Raises:
        EvaluationError: a label lacks a mask, a prediction lacks a finite confidence, or both
            fields are the same.
        FieldError: `eval_key` would overwrite a field that is not of an evaluation.
        CocoError: a field is not one of detections, or an image's size is unknown.

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
    method = config.build()
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


class PycocotoolsEvaluationConfig(fouc.COCOEvaluationConfig):
    """FiftyOne's COCO configuration, fixed to what pycocotools and the paper do.

    Args:
        pred_field: the field of predictions.
        gt_field: the field of ground truth.
        use_masks: whether to compare masks and not boxes.
        **kwargs: other parameters of FiftyOne's, all of which are fixed here.
    """

    def __init__(
        self, pred_field: str, gt_field: str, use_masks: bool = False, **kwargs: Any
    ) -> None:
        fixed = {"iou": 0.5, "classwise": False, "compute_mAP": True, "max_preds": MAX_DETECTIONS}
        super().__init__(pred_field, gt_field, use_masks=use_masks, **(kwargs | fixed))

    @property
    def cls(self) -> str:
        """The class that is stored: FiftyOne's, which exists where this package does not."""
        return f"{fouc.__name__}.{fouc.COCOEvaluationConfig.__name__}"

    @property
    def run_cls(self) -> type[PycocotoolsEvaluation]:
        """The method that this configures."""
        return PycocotoolsEvaluation


class PycocotoolsEvaluation(fouc.COCOEvaluation):
    """COCO evaluation by pycocotools; see `evaluate`."""

    def validate_run(self, samples: foc.SampleCollection, key: str, overwrite: bool = True) -> None:
        """See `fiftyone.core.runs.BaseRun`: `key` is free, or a COCO run's of the same fields."""
        stored = fouc.COCOEvaluationConfig.from_dict(self.config.serialize())
        fouc.COCOEvaluation(stored).validate_run(samples, key, overwrite=overwrite)

    def evaluate(self, sample_or_frame: Any, eval_key: str | None = None) -> list[Any]:
        """See `fiftyone.utils.eval.coco.COCOEvaluation`; `generate_results` does all in bulk."""
        return []

    def generate_results(
        self,
        samples: foc.SampleCollection,
        matches: list[Any],
        eval_key: str | None = None,
        classes: list[str] | None = None,
        missing: str | None = None,
        progress: bool | Callable[[Any], None] | None = None,
    ) -> fouc.COCODetectionResults:
        """See `fiftyone.utils.eval.coco.COCOEvaluation`; here it also matches the images.

        `matches` and `classes` are not read. The outcome is written to the labels where there is
        an `eval_key`.
        """
        compute_sizes(samples, progress)
        images: list[list[dict[str, Any] | None]] = []
        matches = []
        with fou.ProgressBar(total=len(samples), progress=progress) as bar:
            for batch in batches(samples):
                outcomes = list(self._match_batch(batch))
                images += [outcome.counts() for outcome in outcomes]
                matches += [match for outcome in outcomes for match in outcome.matches]
                if eval_key is not None:
                    self._write(batch, outcomes, eval_key)
                bar.update(len(outcomes))
        coco_eval = accumulate([images[i] for i in _coco_order(samples)], self.iou_type)
        return self._results(samples, coco_eval, matches, eval_key, missing)

    @property
    def iou_type(self) -> IouType:
        """`segm` or `bbox`."""
        return "segm" if self.config.use_masks else "bbox"

    def _match_batch(self, batch: foc.SampleCollection) -> Iterator[ImageOutcome]:
        truth = read_annotations(batch, self.config.gt_field, with_masks=True)
        predictions = read_annotations(
            batch, self.config.pred_field, with_masks=self.config.use_masks
        )
        self._check(batch, truth, predictions)
        for image_truth, image_predictions in zip(truth, predictions, strict=True):
            yield ImageOutcome(image_truth, image_predictions, self.iou_type)

    def _check(
        self,
        batch: foc.SampleCollection,
        truth: list[list[dict[str, Any]]],
        predictions: list[list[dict[str, Any]]],
    ) -> None:
        if self.config.use_masks:
            _check_masks(batch, self.config.gt_field, truth)
            _check_masks(batch, self.config.pred_field, predictions)
        for path, labels in zip(batch.values("filepath"), predictions, strict=True):
            for score in (label["score"] for label in labels):
                if score is None or not math.isfinite(score):
                    raise EvaluationError(
                        f"A label of '{self.config.pred_field}' at {path} has the confidence "
                        f"{score}: every prediction needs a finite one"
                    )

    def _write(
        self, batch: foc.SampleCollection, outcomes: list[ImageOutcome], eval_key: str
    ) -> None:
        paths = [f"{field}.detections" for field in (self.config.gt_field, self.config.pred_field)]
        updates = {
            sample_id: outcome.update(sample_id, paths, eval_key)
            for sample_id, outcome in zip(batch.values("id"), outcomes, strict=True)
        }
        write_samples(batch, updates)

    def _results(
        self,
        samples: foc.SampleCollection,
        coco_eval: COCOeval,
        matches: list[Any],
        eval_key: str | None,
        missing: str | None,
    ) -> fouc.COCODetectionResults:
        precision, recall, scores = (
            coco_eval.eval[name][..., 0, ALL_AREAS, -1]
            for name in ("precision", "recall", "scores")
        )
        return fouc.COCODetectionResults(
            samples,
            self.config,
            eval_key,
            matches,
            precision[:, None],
            coco_eval.params.recThrs,
            coco_eval.params.iouThrs,
            [LABEL],
            recall_sweep=recall[:, None],
            thresholds=scores[:, None],
            missing=missing,
            custom_metrics=_custom_metrics(coco_eval),
            backend=self,
        )


def _check_masks(
    batch: foc.SampleCollection, field: str, images: list[list[dict[str, Any]]]
) -> None:
    for path, labels in zip(batch.values("filepath"), images, strict=True):
        if any("segmentation" not in label for label in labels):
            raise EvaluationError(
                f"A label of '{field}' at {path} has no mask: evaluate boxes with iou_type='bbox'"
            )


def _coco_order(samples: foc.SampleCollection) -> list[int]:
    """Positions of the samples by ascending COCO id; those without one come last, in order."""
    if not samples.has_field(IMAGE_ID_FIELD):
        return list(range(count_samples(samples)))
    ids = samples.values(IMAGE_ID_FIELD)
    return sorted(range(len(ids)), key=lambda i: (ids[i] is None, ids[i] or 0))


def _custom_metrics(coco_eval: COCOeval) -> dict[str, dict[str, Any]]:
    """The 12 numbers as FiftyOne keeps metrics that are not its own."""
    return {
        f"@promerge/promerge/{name}": {
            "key": name,
            "value": float(value),
            "label": panel_label(name, value),
            "lower_is_better": False,
        }
        for name, value in zip(METRICS, coco_eval.stats, strict=True)
    }


fo.evaluation_config.detection_backends[METHOD] = {
    "config_cls": f"{__name__}.{PycocotoolsEvaluationConfig.__name__}"
}
