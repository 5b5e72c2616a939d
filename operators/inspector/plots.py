"""The inspector's pictures of an image: what each stage made of it, as Plotly draws it."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from fiftyone_promerge.inspection.inspect_image import Inspection
from promerge_core import ProMergeConfig
from promerge_core.masks.painting import paint
from promerge_core.stages.explanation import Outcomes
from promerge_core.stages.pruning import RULES, Verdict

from .canvas import BACKGROUND, CHOSEN, CONFIG, INSTANCES, LAYOUT, PROPOSAL, Canvas, Plot

_BARS_HEIGHT = 420  # pixels; more bars than fit become narrower
_LEAST_BAR = 13


class Colour(NamedTuple):
    """A colour, its name for a person and its code for Plotly."""

    name: str
    code: str


_PALETTE = itertools.cycle(
    [
        Colour("grey", "#8c8c8c"),
        Colour("blue", "#1f77b4"),
        Colour("purple", "#9467bd"),
        Colour("brown", "#8c564b"),
        Colour("pink", "#e377c2"),
        Colour("cyan", "#17becf"),
    ]
)
COLOURS = {Verdict.KEPT: Colour("green", "#2ca02c")} | {rule: next(_PALETTE) for rule in RULES}
"""The colour of each verdict."""


def prompts_plot(canvas: Canvas, prompt: int) -> Plot:
    """The prompts over the image, by whether they vote for background.

    Args:
        canvas: the image.
        prompt: index of the prompt that is chosen.

    Returns:
        a dot for each prompt, over the image.
    """
    explanation = canvas.inspection.explanation
    positions = canvas.patch_centres(explanation.prompts)
    votes = explanation.is_candidate.tolist()
    colours = [BACKGROUND if vote else PROPOSAL for vote in votes]
    texts = [
        f"Prompt {i + 1}: {'votes for background' if vote else 'proposes objects'}"
        for i, vote in enumerate(votes)
    ]
    dots = _dots(positions, colours, texts, prompt, sizes=(8, 14))
    return canvas.plot([{**dots, "hovertemplate": "%{text}<extra></extra>"}])


def affinity_plot(canvas: Canvas, prompt: int) -> Plot:
    """How similar each patch is to one prompt, and the proposals that follow.

    Args:
        canvas: the image.
        prompt: index of the prompt.

    Returns:
        the affinity of each patch, and the outlines of the proposals, over the image.
    """
    explanation = canvas.inspection.explanation
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


def votes_plot(canvas: Canvas) -> Plot:
    """The fraction of the background votes for each patch, and where they are the majority."""
    explanation = canvas.inspection.explanation
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


def proposal_positions(outcomes: Outcomes) -> tuple[list[float], list[float]]:
    """X and y of each proposal in `pruning_plot`: new part that is background, and similarity."""
    share = (100 * outcomes.new_background).where(outcomes.new_areas > 0, _NOTHING_NEW)
    return share.tolist(), outcomes.similarities.tolist()


def pruning_plot(inspection: Inspection, proposal: int) -> Plot:
    """Each proposal by the two values it is judged by, in the colour of its verdict.

    Args:
        inspection: an image whose proposals were judged.
        proposal: index of the proposal that is chosen.

    Returns:
        a dot for each proposal, and a line for each threshold.
    """
    outcomes = inspection.explanation.outcomes
    assert outcomes is not None
    colours = [COLOURS[verdict].code for verdict in outcomes.verdicts]
    texts = [f"{fate(verdict)}: {verdict.explanation}" for verdict in outcomes.verdicts]
    dots = _dots(proposal_positions(outcomes), colours, texts, proposal, sizes=(9, 16))
    dots["marker"]["opacity"] = 0.85
    dots["hovertemplate"] = "%{text}<br>similarity %{y:.2f}<extra></extra>"
    axis = {"zeroline": False, "fixedrange": True}
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
                **axis,
            },
            "yaxis": {"title": {"text": "Similarity to background", "font": {"size": 12}}, **axis},
            "shapes": _thresholds(inspection.config),
        },
        "config": CONFIG,
    }


_NOTHING_NEW = -20  # where proposals without new patches stand on an axis from 0 to 100


def fate(verdict: Verdict) -> str:
    """`Kept` or `Pruned`."""
    return "Kept" if verdict is Verdict.KEPT else "Pruned"


def _thresholds(config: ProMergeConfig) -> list[Plot]:
    """The lines from which on proposals are pruned, each in the colour of its rule."""
    similarity = config.background_similarity
    overlap = 100 * config.background_overlap
    across = {"xref": "paper", "x0": 0, "x1": 1, "y0": similarity, "y1": similarity}
    upright = {"yref": "paper", "y0": 0, "y1": 1, "x0": overlap, "x1": overlap}
    return [
        {"type": "line", "line": {"dash": "dot", "width": 2, "color": COLOURS[rule].code}, **ends}
        for rule, ends in (
            (Verdict.BACKGROUND_SIMILARITY, across),
            (Verdict.BACKGROUND_OVERLAP, upright),
        )
    ]


def _dots(
    positions: tuple[list[float], list[float]],
    colours: list[str],
    texts: list[str],
    chosen: int,
    sizes: tuple[int, int],
) -> Plot:
    """A trace of dots, each with its text; the chosen one is larger and has a yellow border."""
    x, y = positions
    is_chosen = [index == chosen for index in range(len(x))]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {
            "size": [sizes[one] for one in is_chosen],
            "color": colours,
            "line": {
                "width": [3 if one else 1 for one in is_chosen],
                "color": [CHOSEN if one else "white" for one in is_chosen],
            },
        },
        "text": texts,
    }


def proposal_plot(canvas: Canvas, proposal: int) -> Plot:
    """One proposal over the image, in the colour of its verdict, and the background's border.

    Args:
        canvas: an image whose proposals were judged.
        proposal: index of the proposal.

    Returns:
        the image, darker outside the proposal, and both outlines.
    """
    explanation = canvas.inspection.explanation
    stages, outcomes = explanation.stages, explanation.outcomes
    assert outcomes is not None and stages.background is not None
    colour = COLOURS[outcomes.verdicts[proposal]].code
    mask = canvas.masks(stages.proposals[proposal][None])[0]
    tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    pixels = canvas.pixels // 2
    pixels[mask] = canvas.pixels[mask] // 2 + (tint // 2).astype(np.uint8)
    outlines = [
        canvas.outline(stages.background, BACKGROUND),
        canvas.outline(stages.proposals[proposal], colour),
    ]
    return canvas.plot(outlines, pixels)


def merging_plot(canvas: Canvas) -> Plot:
    """The instances over the image, and the outlines of the proposals in each."""
    explanation = canvas.inspection.explanation
    clusters = [] if explanation.outcomes is None else explanation.outcomes.clusters.tolist()
    outlines = [
        canvas.outline(explanation.stages.proposals[index], INSTANCES[cluster % len(INSTANCES)])
        for index, cluster in enumerate(clusters)
        if cluster >= 0
    ]
    return canvas.plot(outlines, paint(canvas.pixels, canvas.masks(explanation.stages.merged)))


def refined_plot(canvas: Canvas) -> Plot:
    """The masks that the CRF leaves and accepts, in the colours of their instances."""
    inspection = canvas.inspection
    accepted = inspection.refined & inspection.accepted[:, None, None]
    return canvas.plot([], paint(canvas.pixels, canvas.masks(accepted)))


def refine_iou_plot(inspection: Inspection) -> Plot:
    """The IoU of each instance before and after the CRF, and the lowest that is accepted."""
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
            "height": 60 + min(28 * len(values), max(_BARS_HEIGHT, _LEAST_BAR * len(values))),
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
