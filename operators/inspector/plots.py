"""The inspector's pictures of an image: what each stage made of it, as Plotly draws it."""

from __future__ import annotations

import numpy as np

from fiftyone_promerge.cli.report import paint
from fiftyone_promerge.inspection.inspect_image import Inspection
from promerge_core.stages.explanation import Verdict

from .canvas import (
    BACKGROUND,
    CHOSEN,
    CONFIG,
    INSTANCES,
    LAYOUT,
    PROPOSAL,
    Canvas,
    Plot,
)

COLOURS = {
    Verdict.KEPT: "#2ca02c",
    Verdict.BACKGROUND_OVERLAP: "#1f77b4",
    Verdict.BACKGROUND_SIMILARITY: "#9467bd",
    Verdict.NOTHING_NEW: "#8c8c8c",
}


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
            **LAYOUT,
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
        "config": CONFIG,
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
            **LAYOUT,
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
        "config": CONFIG,
    }
