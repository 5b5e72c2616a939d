"""Several evaluations beside each other and beside the published numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fiftyone.utils.eval.coco as fouc
import numpy as np

from .words import METRICS

Row = dict[str, Any]

_IOU_50, _IOU_75 = 0, 5  # places in pycocotools' iouThrs


def comparison(
    metrics: Mapping[str, Mapping[str, float]], published: Mapping[str, float]
) -> list[Row]:
    """One row per evaluation, then one per published method.

    Args:
        metrics: per field the result of `metrics()`, in [0, 1].
        published: AP in percent of other methods; see `benchmarks.registry.published_ap`.

    Returns:
        dicts with `name`, `published` (bool) and, in percent, those of the 12 numbers that are
        known; -1 in place of a number that is not defined.
    """
    rows: list[Row] = [
        {"name": name, "published": False} | {key: _percent(values[key]) for key in METRICS}
        for name, values in metrics.items()
    ]
    return rows + [{"name": n, "published": True, "AP": ap} for n, ap in published.items()]


def _percent(value: float) -> float:
    return 100 * value if value >= 0 else -1.0


def class_metrics(results: fouc.COCODetectionResults) -> dict[str, dict[str, float]]:
    """The numbers of each class, also of a run that was loaded.

    Args:
        results: what `evaluate` gave.

    Returns:
        by class `AP`, `AP50`, `AP75` and `AR100` in percent, or -1 where the ground truth has none
        of the class.
    """
    return {
        str(name): {
            "AP": _percent(float(precision.mean())),
            "AP50": _percent(float(precision[_IOU_50].mean())),
            "AP75": _percent(float(precision[_IOU_75].mean())),
            "AR100": _percent(float(recall.mean())),
        }
        for name, precision, recall in zip(
            results.classes,
            np.moveaxis(results.precision, 1, 0),
            np.asarray(results.recall_sweep).T,
            strict=True,
        )
    }


def draw(rows: list[Row], title: str, path: Path) -> None:
    """Draws AP and AR100 of every row as bars, published ones hatched, into a picture.

    Args:
        rows: from `comparison`.
        title: what was evaluated.
        path: the file to write; its suffix decides the format.
    """
    from matplotlib.figure import Figure

    # A figure of its own, without pyplot: no global state, no window system.
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(rows)), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2, sharey=True), ("AP", "AR100"), strict=True):
        for place, row in enumerate(rows):
            if metric in row:
                style = {"color": "lightgray", "hatch": "//"} if row["published"] else {}
                bar = axes.barh(place, row[metric], **style)
                axes.bar_label(bar, fmt="%.1f", padding=3)
        axes.set_title(metric)
        axes.set_xlabel("percent")
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    names = [row["name"] + (" (published)" if row["published"] else "") for row in rows]
    figure.axes[0].set_yticks(range(len(rows)), names)
    figure.axes[0].invert_yaxis()
    figure.suptitle(title)
    figure.savefig(path, dpi=150)
