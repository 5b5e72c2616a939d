"""pycocotools as a method of FiftyOne's to evaluate detections.

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
import numpy as np
from pycocotools.cocoeval import COCOeval

from fiftyone_promerge.coco.annotations import (
    IMAGE_ID_FIELD,
    batches,
    compute_sizes,
    read_annotations,
)
from fiftyone_promerge.fields import count_samples
from fiftyone_promerge.fiftyone_internals import write_samples
from fiftyone_promerge.labels import LABEL
from promerge_core import PromergeError

from .matching import ALL_AREAS, MAX_DETECTIONS, Counts, ImageOutcome, IouType, accumulate
from .words import METRICS, panel_label

METHOD = "pycocotools"
"""Our name among FiftyOne's detection evaluation methods."""


class EvaluationError(PromergeError):
    """A field cannot be evaluated as asked."""


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
    """COCO evaluation by pycocotools; see `evaluation.run.evaluate`.

    Attributes:
        classes: the ground truth's attribute with a label's class; None: there is one class.
    """

    classes: str | None = None

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
        images: list[Counts] = []
        matches = []
        with fou.ProgressBar(total=len(samples), progress=progress) as bar:
            for batch in batches(samples):
                outcomes = list(self._match_batch(batch))
                images += [outcome.counts() for outcome in outcomes]
                matches += [match for outcome in outcomes for match in outcome.matches]
                if eval_key is not None:
                    self._write(batch, outcomes, eval_key)
                bar.update(len(outcomes))
        names = sorted(set().union(*images)) or [LABEL]
        ordered = [images[i] for i in _coco_order(samples)]
        coco_eval = accumulate(ordered, self.iou_type, names)
        return self._results(samples, coco_eval, matches, names, eval_key, missing)

    @property
    def iou_type(self) -> IouType:
        """`segm` or `bbox`."""
        return "segm" if self.config.use_masks else "bbox"

    def _match_batch(self, batch: foc.SampleCollection) -> Iterator[ImageOutcome]:
        truth = read_annotations(batch, self.config.gt_field, with_masks=True, classes=self.classes)
        predictions = read_annotations(
            batch,
            self.config.pred_field,
            with_masks=self.config.use_masks,
            classes=self.classes and "label",
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
        names: list[str],
        eval_key: str | None,
        missing: str | None,
    ) -> fouc.COCODetectionResults:
        # FiftyOne has the classes second.
        precision, recall, scores = (
            np.ascontiguousarray(np.moveaxis(coco_eval.eval[name][..., ALL_AREAS, -1], -1, 1))
            for name in ("precision", "recall", "scores")
        )
        return fouc.COCODetectionResults(
            samples,
            self.config,
            eval_key,
            matches,
            precision,
            coco_eval.params.recThrs,
            coco_eval.params.iouThrs,
            names,
            recall_sweep=recall,
            thresholds=scores,
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
