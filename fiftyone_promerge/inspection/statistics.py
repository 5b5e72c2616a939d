"""Figures of a dataset: the masks of a field, its trainings, and every evaluation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import fiftyone.core.collections as foc
from fiftyone import CountValues, HistogramValues, ViewField

from fiftyone_promerge.benchmarks.registry import published_ap
from fiftyone_promerge.evaluation.comparison import Row, comparison
from fiftyone_promerge.evaluation.words import METRICS
from fiftyone_promerge.fiftyone_internals import root_dataset
from fiftyone_promerge.training import (
    is_running,
    latest_picture,
    loss_curve,
    precision_curve,
)

# Bars in each of the inspector's plots.
_BINS = 30
# Fraction of the image in a box: 3 pixels of 640 x 480. Smaller ones count as this.
_SMALLEST_AREA = 1e-5


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How often the values of equally wide bins occur.

    Attributes:
        counts: of each bin.
        edges: of the bins, one more than there are counts.
    """

    counts: list[int]
    edges: list[float]


@dataclasses.dataclass(frozen=True)
class FieldStatistics:
    """What a field of detections holds.

    Attributes:
        images_by_masks: number of masks -> how many images have that many, ascending.
        areas: log10 of the fraction of the image in each mask's box, from -5 to 0.
        scores: the masks' confidences, from 0 to 1.
    """

    images_by_masks: dict[int, int]
    areas: Histogram
    scores: Histogram

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(self.images_by_masks.values())

    @property
    def masks(self) -> int:
        """How many masks there are."""
        return sum(number * images for number, images in self.images_by_masks.items())


def field_statistics(samples: foc.SampleCollection, field: str) -> FieldStatistics:
    """Counts the masks of a field; the database does it, so no mask is loaded.

    Args:
        samples: a dataset or view of images.
        field: a field of detections.

    Returns:
        the counts of masks, areas and scores; an image without a label is not counted.
    """
    masks = ViewField(f"{field}.detections")
    number = (masks != None).if_else(masks.length(), 0)  # noqa: E711
    box = ViewField()
    area = box[2] * box[3]
    by_masks, areas, scores = samples.exists(field).aggregate(
        [
            CountValues(number),
            HistogramValues(
                f"{field}.detections[].bounding_box",
                expr=(area > _SMALLEST_AREA).if_else(area, _SMALLEST_AREA).log10(),
                bins=_BINS,
                range=[-5, 1e-6],
            ),
            HistogramValues(f"{field}.detections[].confidence", bins=_BINS, range=[0, 1 + 1e-6]),
        ]
    )
    return FieldStatistics(dict(sorted(by_masks.items())), _histogram(areas), _histogram(scores))


def _histogram(result: tuple[list[int], list[float], int]) -> Histogram:
    counts, edges, _ = result
    return Histogram(counts, [float(edge) for edge in edges])


def training_curves(samples: foc.SampleCollection) -> dict[str, dict[int, float]]:
    """The loss by iteration of each training of a dataset that has logged any, by its run's key.

    See `fiftyone_promerge.training.loss_curve`.
    """
    curves = {key: loss_curve(folder) for key, folder in _training_folders(samples).items()}
    return {key: curve for key, curve in curves.items() if curve}


def precision_curves(samples: foc.SampleCollection) -> dict[str, dict[int, float]]:
    """AP in percent by iteration of each training of a dataset that was validated, by its key.

    See `fiftyone_promerge.training.precision_curve`.
    """
    curves = {
        key: {iteration: 100 * ap for iteration, ap in precision_curve(folder).items()}
        for key, folder in _training_folders(samples).items()
    }
    return {key: curve for key, curve in curves.items() if curve}


def latest_validation(samples: foc.SampleCollection) -> tuple[str, Path] | None:
    """The newest picture of a validation in any training of a dataset, and that run's key."""
    pictures = {
        key: path
        for key, folder in _training_folders(samples).items()
        if (path := latest_picture(folder)) is not None
    }
    return max(pictures.items(), key=lambda item: item[1].stat().st_mtime, default=None)


def is_training(samples: foc.SampleCollection) -> bool:
    """Whether a process trains a detector on a dataset now."""
    return any(map(is_running, _training_folders(samples).values()))


def _training_folders(samples: foc.SampleCollection) -> dict[str, str]:
    dataset = root_dataset(samples)
    return {
        key: dataset.get_run_info(key).config.output_dir
        for key in dataset.list_runs(method="train_detector")
    }


def evaluation_rows(samples: foc.SampleCollection) -> list[Row]:
    """One row for each of our evaluation runs of a dataset, then the published ones.

    Published are those of the benchmark that the dataset is, where a run compares the same kind of
    shape; see `comparison`.
    """
    dataset = root_dataset(samples)
    runs, kinds = {}, set()
    for key in dataset.list_evaluations(type="detection"):
        metrics = dataset.load_evaluation_results(key).metrics()
        if metrics.keys() >= set(METRICS):
            runs[key] = metrics
            config = dataset.get_evaluation_info(key).config
            if not config.classwise:  # what is published is of one class
                kinds.add("segm" if getattr(config, "use_masks", False) else "bbox")
    return comparison(runs, published_ap(dataset.info.get("benchmark"), kinds))
