"""The inspector's pictures: what the stages made of an image, as Plotly draws it."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import cv2
import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex
from PIL import Image

from fiftyone_promerge.comparison import Row
from fiftyone_promerge.inspection import Inspection
from fiftyone_promerge.report import paint
from fiftyone_promerge.statistics import Histogram
from promerge_core.inspection import Verdict

Plot = dict[str, Any]
"""The `data`, `layout` and `config` of a `types.PlotlyView`."""

COLOURS = {
    Verdict.KEPT: "#2ca02c",
    Verdict.BACKGROUND_OVERLAP: "#1f77b4",
    Verdict.BACKGROUND_SIMILARITY: "#9467bd",
    Verdict.NOTHING_NEW: "#8c8c8c",
}
BACKGROUND = "#1f77b4"
PROPOSAL = "#ff6d04"
CHOSEN = "#ffe14d"
INSTANCES = [to_hex(colour) for colour in matplotlib.colormaps["tab10"].colors]  # type: ignore[attr-defined]
"""The colours of `fiftyone_promerge.report.paint`."""

_LONG_SIDE = 480
_HEIGHT = 260


class Canvas:
    """The image at the size it is shown, and what is drawn on it.

    Args:
        inspection: the image and its stages.

    Attributes:
        width: in pixels; what is drawn has these coordinates.
        height: in pixels.
        pixels: uint8 [height, width, 3].
    """

    def __init__(self, inspection: Inspection) -> None:
        image = inspection.image
        scale = _LONG_SIDE / max(image.width, image.height)
        self.width = max(round(image.width * scale), 1)
        self.height = max(round(image.height * scale), 1)
        self.pixels = cv2.resize(
            image.pixels, (self.width, self.height), interpolation=cv2.INTER_AREA
        )
        self._grid = inspection.explanation.background_votes.shape

    def patch_centres(self, patches: torch.Tensor) -> tuple[list[float], list[float]]:
        """X and y of patches given by row and column, [N, 2]."""
        rows, columns = self._grid
        centres = (patches.cpu().double() + 0.5) * torch.tensor(
            [self.height / rows, self.width / columns]
        )
        return centres[:, 1].tolist(), centres[:, 0].tolist()

    def masks(self, masks: torch.Tensor) -> list[np.ndarray]:
        """Masks of any resolution, bool [M, h, w], at the canvas's size."""
        size = (self.width, self.height)
        return [
            cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(bool)
            for mask in masks.cpu().numpy().astype(np.uint8)
        ]

    def heatmap(self, values: torch.Tensor, **options: Any) -> Plot:
        """A trace of one value a patch, [h, w]."""
        rows, columns = self._grid
        dx, dy = self.width / columns, self.height / rows
        return {
            "type": "heatmap",
            "z": values.cpu().float().numpy().round(3).tolist(),
            **{"x0": dx / 2, "dx": dx, "y0": dy / 2, "dy": dy},
            "showscale": False,
            **options,
        }

    def outline(self, mask: torch.Tensor, colour: str, name: str = "") -> Plot:
        """A trace of the border of a mask, bool [h, w]."""
        found, _ = cv2.findContours(
            self.masks(mask[None])[0].astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
        )
        xs: list[float | None] = []
        ys: list[float | None] = []
        for contour in found:
            closed = np.concatenate([contour[:, 0], contour[:1, 0]]).tolist()
            xs += [x for x, _ in closed] + [None]
            ys += [y for _, y in closed] + [None]
        return {
            "type": "scatter",
            "mode": "lines",
            "x": xs,
            "y": ys,
            "name": name,
            "line": {"color": colour, "width": 2},
            "hoverinfo": "skip",
        }

    def plot(self, traces: list[Plot], pixels: np.ndarray | None = None) -> Plot:
        """Traces over the image, or over other pixels of its size."""
        picture = {
            "source": _data_uri(self.pixels if pixels is None else pixels),
            **{"xref": "x", "yref": "y", "x": 0, "y": 0},
            **{"sizex": self.width, "sizey": self.height},
            "sizing": "stretch",
            "layer": "below",
        }
        axis = {"visible": False, "fixedrange": True, "constrain": "domain"}
        return {
            # Without a trace Plotly draws no axes, and so no picture.
            "data": traces or [{"type": "scatter", "x": [None], "y": [None]}],
            "layout": {
                "images": [picture],
                "xaxis": {**axis, "range": [0, self.width]},
                "yaxis": {**axis, "range": [self.height, 0], "scaleanchor": "x"},
                **_LAYOUT,
            },
            "config": _CONFIG,
        }


_CONFIG = {"displayModeBar": False, "scrollZoom": False, "responsive": True}
_LAYOUT = {
    "height": _HEIGHT,
    "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
    "dragmode": False,
    "hovermode": "closest",
    "showlegend": False,
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


def _data_uri(pixels: np.ndarray) -> str:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def prompts_plot(canvas: Canvas, inspection: Inspection, prompt: int) -> Plot:
    """The prompts over the image, by whether they vote for background; one is chosen."""
    explanation = inspection.explanation
    x, y = canvas.patch_centres(explanation.prompts)
    votes = explanation.is_candidate.tolist()
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {
            "size": [14 if i == prompt else 8 for i in range(len(x))],
            "color": [BACKGROUND if vote else PROPOSAL for vote in votes],
            "line": {
                "width": [3 if i == prompt else 1 for i in range(len(x))],
                "color": [CHOSEN if i == prompt else "white" for i in range(len(x))],
            },
        },
        "text": [
            f"Prompt {i + 1}: {'votes for background' if vote else 'proposes objects'}"
            for i, vote in enumerate(votes)
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }
    return canvas.plot([dots])


def affinity_plot(canvas: Canvas, inspection: Inspection, prompt: int) -> Plot:
    """How similar each patch is to the chosen prompt, and the proposals that follow."""
    explanation = inspection.explanation
    heat = canvas.heatmap(
        explanation.affinities[prompt],
        **{"zmin": -1, "zmax": 1, "colorscale": "RdBu", "opacity": 0.65},
        hovertemplate="affinity %{z}<extra></extra>",
    )
    x, y = canvas.patch_centres(explanation.prompts[prompt][None])
    here = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {"size": 12, "color": PROPOSAL, "line": {"width": 3, "color": CHOSEN}},
        "hoverinfo": "skip",
    }
    own = explanation.stages.proposals[explanation.owners == prompt]
    outlines = [canvas.outline(mask, CHOSEN) for mask in own]
    return canvas.plot([heat, *outlines, here])


def votes_plot(canvas: Canvas, inspection: Inspection) -> Plot:
    """The fraction of the background votes for each patch, and where they are the majority."""
    explanation = inspection.explanation
    fraction = explanation.background_votes / explanation.is_candidate.sum().clamp(min=1)
    heat = canvas.heatmap(
        100 * fraction,
        **{"zmin": 0, "zmax": 100, "colorscale": [[0, "rgba(255,255,255,0)"], [1, BACKGROUND]]},
        opacity=0.7,
        hovertemplate="%{z:.0f} % of the votes<extra></extra>",
    )
    background = explanation.stages.background
    outline = [] if background is None else [canvas.outline(background, CHOSEN)]
    return canvas.plot([heat, *outline])


def pruning_plot(inspection: Inspection, proposal: int) -> Plot:
    """Each proposal by the two values it is judged by; one is chosen."""
    outcomes = inspection.explanation.outcomes
    assert outcomes is not None
    config = inspection.config
    share = (100 * outcomes.new_background).tolist()
    nothing_new = [verdict is Verdict.NOTHING_NEW for verdict in outcomes.verdicts]
    chosen = [index == proposal for index in range(len(share))]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [
            _NOTHING_NEW if none else value for none, value in zip(nothing_new, share, strict=True)
        ],
        "y": outcomes.similarities.tolist(),
        "marker": {
            "size": [16 if is_chosen else 9 for is_chosen in chosen],
            "color": [COLOURS[verdict] for verdict in outcomes.verdicts],
            "opacity": 0.85,
            "line": {
                "width": [3 if is_chosen else 1 for is_chosen in chosen],
                "color": [CHOSEN if is_chosen else "white" for is_chosen in chosen],
            },
        },
        "text": [f"{VERDICTS[verdict]}: {verdict.explanation}" for verdict in outcomes.verdicts],
        "hovertemplate": "%{text}<br>similarity %{y:.2f}<extra></extra>",
    }
    overlap = 100 * config.background_overlap
    line = {"type": "line", "line": {"dash": "dot", "width": 2}}
    across = {**line, "xref": "paper", "x0": 0, "x1": 1}
    upright = {**line, "yref": "paper", "y0": 0, "y1": 1}
    return {
        "data": [dots],
        "layout": {
            **_LAYOUT,
            "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
            "xaxis": {
                "title": {"text": "New part that is background, %", "font": {"size": 12}},
                "range": [_NOTHING_NEW - 8, 106],
                "tickvals": [_NOTHING_NEW, 0, 25, 50, 75, 100],
                "ticktext": ["nothing<br>new", "0", "25", "50", "75", "100"],
                "zeroline": False,
                "fixedrange": True,
            },
            "yaxis": {
                "title": {"text": "Similarity to background", "font": {"size": 12}},
                "zeroline": False,
                "fixedrange": True,
            },
            "shapes": [
                _coloured(across, Verdict.BACKGROUND_SIMILARITY, "y", config.background_similarity),
                _coloured(upright, Verdict.BACKGROUND_OVERLAP, "x", overlap),
            ],
        },
        "config": _CONFIG,
    }


_NOTHING_NEW = -20  # where proposals without new patches stand on an axis from 0 to 100

VERDICTS = {
    Verdict.KEPT: "Kept",
    Verdict.NOTHING_NEW: "Pruned",
    Verdict.BACKGROUND_OVERLAP: "Pruned",
    Verdict.BACKGROUND_SIMILARITY: "Pruned",
}


def _coloured(line: Plot, verdict: Verdict, axis: str, value: float) -> Plot:
    style = {**line["line"], "color": COLOURS[verdict]}
    return {**line, "line": style, f"{axis}0": value, f"{axis}1": value}


def proposal_plot(canvas: Canvas, inspection: Inspection, proposal: int) -> Plot:
    """One proposal over the image, in the colour of its verdict, and the background's border."""
    stages, outcomes = inspection.explanation.stages, inspection.explanation.outcomes
    assert outcomes is not None and stages.background is not None
    colour = COLOURS[outcomes.verdicts[proposal]]
    mask = canvas.masks(stages.proposals[proposal][None])[0]
    tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    pixels = canvas.pixels // 2
    pixels[mask] = canvas.pixels[mask] // 2 + (tint // 2).astype(np.uint8)
    outlines = [
        canvas.outline(stages.background, BACKGROUND),
        canvas.outline(stages.proposals[proposal], colour),
    ]
    return canvas.plot(outlines, pixels)


def merging_plot(canvas: Canvas, inspection: Inspection) -> Plot:
    """The instances over the image, and the outlines of the proposals in each."""
    explanation = inspection.explanation
    clusters = [] if explanation.outcomes is None else explanation.outcomes.clusters.tolist()
    outlines = [
        canvas.outline(explanation.stages.proposals[index], INSTANCES[cluster % len(INSTANCES)])
        for index, cluster in enumerate(clusters)
        if cluster >= 0
    ]
    return canvas.plot(outlines, paint(canvas.pixels, canvas.masks(explanation.stages.merged)))


def refined_plot(canvas: Canvas, inspection: Inspection) -> Plot:
    """The masks that the CRF leaves and accepts, in the colours of their instances."""
    accepted = inspection.refined & inspection.accepted[:, None, None]
    return canvas.plot([], paint(canvas.pixels, canvas.masks(accepted)))


def refine_iou_plot(inspection: Inspection) -> Plot:
    """The IoU of each instance before and after the CRF, and the least that is accepted."""
    values = inspection.refine_iou.tolist()
    names = [f"Instance {index + 1}" for index in range(len(values))]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": names,
        "marker": {"color": [INSTANCES[index % len(INSTANCES)] for index in range(len(values))]},
        "text": [
            f"{value:.2f} {'accepted' if accepted else 'rejected'}"
            for value, accepted in zip(values, inspection.accepted.tolist(), strict=True)
        ],
        "textposition": "auto",
        "hoverinfo": "skip",
    }
    threshold = inspection.config.refine_iou
    line = {"color": CHOSEN, "dash": "dot", "width": 2}
    return {
        "data": [bars],
        "layout": {
            **_LAYOUT,
            "height": 60 + 28 * len(values),
            "margin": {"l": 84, "r": 12, "t": 8, "b": 40},
            "xaxis": {
                "title": {"text": "IoU before and after", "font": {"size": 12}},
                "range": [0, 1],
                "fixedrange": True,
            },
            "yaxis": {"autorange": "reversed", "fixedrange": True},
            "shapes": [
                {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": line}
                | {"x0": threshold, "x1": threshold}
            ],
        },
        "config": _CONFIG,
    }


def counts_plot(images_by_masks: dict[int, int]) -> Plot:
    """How many images have each number of masks."""
    return _bars(list(images_by_masks), list(images_by_masks.values()), {"dtick": 1, "nticks": 10})


def areas_plot(areas: Histogram) -> Plot:
    """A histogram of log10 of fractions, labelled in percent."""
    ticks = [-5, -4, -3, -2, -1, 0]
    percent = [f"{100 * 10.0**tick:g}" for tick in ticks]
    return histogram_plot(areas, [-5, 0], tickvals=ticks, ticktext=percent)


def histogram_plot(histogram: Histogram, span: list[float], **axis: Any) -> Plot:
    """A histogram over an axis from one end to the other."""
    edges = np.array(histogram.edges)
    centres = ((edges[1:] + edges[:-1]) / 2).tolist()
    return _bars(centres, histogram.counts, {"range": span, **axis})


def _bars(x: list[float], y: list[int], axis: Plot) -> Plot:
    bars = {"type": "bar", "x": x, "y": y, "marker": {"color": PROPOSAL}}
    return {
        "data": [{**bars, "hovertemplate": "%{y}<extra></extra>"}],
        "layout": {
            **_LAYOUT,
            "margin": {"l": 44, "r": 12, "t": 12, "b": 32},
            "bargap": 0.05,
            "xaxis": {"fixedrange": True, "zeroline": False, **axis},
            "yaxis": {"fixedrange": True, "dtick": max(1, math.ceil(max(y, default=0) / 4))},
        },
        "config": _CONFIG,
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
            **_LAYOUT,
            "height": 50 + 44 * len(rows),
            "margin": {"l": 12, "r": 12, "t": 8, "b": 32},
            "barmode": "group",
            "xaxis": {"fixedrange": True, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed", "fixedrange": True, "automargin": True},
        },
        "config": _CONFIG,
    }
