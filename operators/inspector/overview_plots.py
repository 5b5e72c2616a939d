"""The inspector's pictures of a dataset: counts, areas, scores, trainings and evaluations."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fiftyone_promerge.evaluation.comparison import Row
from fiftyone_promerge.inspection.statistics import Histogram

from .canvas import BACKGROUND, CONFIG, INSTANCES, LAYOUT, PROPOSAL, Plot, pixels_plot

_MAX_POINTS = 1000
_PICTURE_SIDE = 1600  # pixels
_PICTURE_HEIGHT = 480  # pixels of the panel


def counts_plot(images_by_masks: dict[int, int]) -> Plot:
    """How many images have each number of masks."""
    return _bars(list(images_by_masks), list(images_by_masks.values()), {"dtick": 1, "nticks": 10})


def areas_plot(areas: Histogram) -> Plot:
    """A histogram of log10 of fractions, labelled in percent."""
    ticks = [-5, -4, -3, -2, -1, 0]
    percent = [f"{100 * 10.0**tick:g}" for tick in ticks]
    return histogram_plot(areas, [-5, 0], tickvals=ticks, ticktext=percent)


def histogram_plot(histogram: Histogram, span: list[float], **axis: Any) -> Plot:
    """A histogram as bars.

    Args:
        histogram: edges and counts.
        span: both ends of the axis.
        axis: what else Plotly's x axis takes, such as `tickvals`.

    Returns:
        the plot.
    """
    edges = np.array(histogram.edges)
    centres = ((edges[1:] + edges[:-1]) / 2).tolist()
    return _bars(centres, histogram.counts, {"range": span, **axis})


def _bars(x: list[float], y: list[int], axis: Plot) -> Plot:
    bars = {"type": "bar", "x": x, "y": y, "marker": {"color": PROPOSAL}}
    return {
        "data": [{**bars, "hovertemplate": "%{y}<extra></extra>"}],
        "layout": {
            **LAYOUT,
            "margin": {"l": 44, "r": 12, "t": 12, "b": 32},
            "bargap": 0.05,
            "xaxis": {"fixedrange": True, "zeroline": False, **axis},
            "yaxis": {"fixedrange": True, "dtick": max(1, math.ceil(max(y, default=0) / 4))},
        },
        "config": CONFIG,
    }


def evaluations_plot(rows: list[Row]) -> Plot:
    """AP and AR100 of every row as bars, published ones in grey."""
    names = [f"{row['name']} (paper)" if row["published"] else row["name"] for row in rows]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": metric,
            "y": names,
            "x": [row.get(metric) for row in rows],
            "text": [f"{metric} {row[metric]:.1f}" if metric in row else "" for row in rows],
            "textposition": "auto",
            "hoverinfo": "skip",
            "marker": {"color": ["#8c8c8c" if row["published"] else colour for row in rows]},
        }
        for metric, colour in (("AP", PROPOSAL), ("AR100", BACKGROUND))
    ]
    return {
        "data": bars,
        "layout": {
            **LAYOUT,
            "height": 50 + 44 * len(rows),
            "margin": {"l": 12, "r": 12, "t": 8, "b": 32},
            "barmode": "group",
            "xaxis": {"fixedrange": True, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed", "fixedrange": True, "automargin": True},
        },
        "config": CONFIG,
    }


def losses_plot(curves: dict[str, dict[int, float]]) -> Plot:
    """One line for each run, of at most about a thousand of its iterations."""
    return _curves_plot(curves, "Loss", "%{y:.3f}", mode="lines")


def precisions_plot(curves: dict[str, dict[int, float]]) -> Plot:
    """One line for each run, with a dot for each of its validations; AP is in percent."""
    return _curves_plot(curves, "AP, percent", "%{y:.1f}", mode="lines+markers")


def _curves_plot(curves: dict[str, dict[int, float]], label: str, shown: str, mode: str) -> Plot:
    lines = []
    for colour, (key, curve) in zip(itertools.cycle(INSTANCES), curves.items(), strict=False):
        step = math.ceil(len(curve) / _MAX_POINTS)
        x, y = (list(values)[::step] for values in (curve, curve.values()))
        line = {"type": "scatter", "mode": mode, "name": key, "line": {"color": colour}}
        lines.append({**line, "x": x, "y": y, "hovertemplate": f"iteration %{{x}}: {shown}"})
    return {
        "data": lines,
        "layout": {
            **LAYOUT,
            "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.2},
            "xaxis": {"title": {"text": "Iteration"}, "fixedrange": True},
            "yaxis": {"title": {"text": label}, "fixedrange": True},
        },
        "config": CONFIG,
    }


def validation_plot(path: Path) -> Plot:
    """The picture of a validation, as large as the panel is wide."""
    with Image.open(path) as picture:
        picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
        pixels = np.asarray(picture.convert("RGB"))
    plot = pixels_plot(pixels, [])
    plot["layout"]["height"] = _PICTURE_HEIGHT
    return plot
