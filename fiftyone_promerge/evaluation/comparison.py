"""Several evaluations beside each other and beside the published numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .run import METRICS

Row = dict[str, Any]


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
