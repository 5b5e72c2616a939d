"""Draws what `promerge benchmark --json figures.json` measured.

python scripts/benchmark_plot.py figures.json docs/images/benchmark.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot(figures: dict[str, Any], path: str) -> None:
    """One bar a stage, on a logarithmic scale; the peers' are grey."""
    rows = figures["rows"][::-1]
    colors = ["0.6" if row["stage"] in figures["peers"] else "tab:blue" for row in rows]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(
        [row["stage"] for row in rows], [row["median_s"] for row in rows], color=colors
    )
    axes.bar_label(bars, [f"{row['median_s']:.3g}" for row in rows], padding=3)
    axes.set(xscale="log", xlabel="seconds per image, median; grey: peers, in the same run")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    plot(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])
