"""The inspector's figures of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fiftyone.core.collections as foc
from fiftyone.operators import types

from fiftyone_promerge.app.targets import counted
from fiftyone_promerge.fields import count_samples
from fiftyone_promerge.inspection.statistics import (
    evaluation_rows,
    field_statistics,
    is_training,
    latest_validation,
    precision_curves,
    training_curves,
)

from . import overview_plots as plots
from .parts import heading, notice, picture

_REFRESH = 30_000  # milliseconds


def show_overview(
    panel: types.Object,
    samples: foc.SampleCollection,
    field: str | None,
    redraw: Callable[..., Any],
) -> None:
    """Adds the figures of a field's masks, and of the dataset's trainings and evaluations.

    Args:
        panel: the panel.
        samples: the view to count in.
        field: a field of detections; None where the dataset has none.
        redraw: the panel's method to draw it again, called regularly during a training.
    """
    notice(panel, "hint", "Open a sample, or select one, to see how its masks come to be.", "info")
    if field is not None:
        _show_field(panel, samples, field)
    _show_trainings(panel, samples)
    if is_training(samples):
        panel.view("refresh", types.TimerView(interval=_REFRESH, on_interval=redraw))
    rows = evaluation_rows(samples)
    if rows:
        text = "AP and AR over all IoUs from 0.5, in percent; grey: published in the paper"
        picture(panel, "evaluations", plots.evaluations_plot(rows), "Evaluations", text, "100%")


def _show_trainings(panel: types.Object, samples: foc.SampleCollection) -> None:
    curves = training_curves(samples)
    if curves:
        text = "Loss of each detector trained on this dataset's masks, or still in training"
        picture(panel, "losses", plots.losses_plot(curves), "Trainings", text, "400px")
    precisions = precision_curves(samples)
    if precisions:
        text = "AP of the same detectors on the validation images, against the labels of the round"
        plot = plots.precisions_plot(precisions)
        picture(panel, "precisions", plot, "Validations", text, "400px")
    validation = latest_validation(samples)
    if validation is not None:
        key, path = validation
        text = f"{key}: labels and predictions side by side"
        plot = plots.validation_plot(path)
        picture(panel, "validation", plot, "Latest validation", text, "100%")


def _show_field(panel: types.Object, samples: foc.SampleCollection, field: str) -> None:
    statistics = field_statistics(samples, field)
    images, masks = statistics.images, statistics.masks
    about = (
        f"{masks / max(images, 1):.1f} masks per image; "
        f"images without masks: {statistics.images_by_masks.get(0, 0)}."
    )
    not_done = count_samples(samples) - images
    if not_done:
        others = counted(not_done, "image has", "images have")
        about += f" {others} no label in {field} yet."
    heading(panel, f"{counted(masks, 'mask')} on {counted(images, 'image')}", about)
    picture(
        panel,
        "counts",
        plots.counts_plot(statistics.images_by_masks),
        "Masks per image",
        "How many images have each number of masks",
    )
    picture(
        panel,
        "areas",
        plots.areas_plot(statistics.areas),
        "Size of the masks",
        "Box, in percent of the image",
    )
    picture(
        panel,
        "scores",
        plots.histogram_plot(statistics.scores, [0, 1]),
        "Scores",
        "How sure the method is of each mask",
    )
