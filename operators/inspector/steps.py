"""The steps that the inspector shows of one image, one at a time: words, pictures, thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from fiftyone.operators import types

from fiftyone_promerge.inspection.inspect_image import Inspection
from promerge_core.stages.pruning import RULES, Verdict

from . import plots
from .canvas import Canvas
from .parts import heading, notice, picture


class Step(NamedTuple):
    """One stage of the method.

    Attributes:
        label: its name on the tab.
        parameters: the parameters that decide it.
        show: draws it into a panel.
    """

    label: str
    parameters: tuple[str, ...]
    show: Callable[[types.Object, Inspection, Any, Any], None]


def chosen_prompt(inspection: Inspection, point: list[float] | None) -> int:
    """The prompt that a person points at.

    Args:
        inspection: the image and its stages.
        point: x and y on the canvas; None for the middle one of all prompts.

    Returns:
        index of the prompt nearest to the point.
    """
    x, y = Canvas(inspection).patch_centres(inspection.explanation.prompts)
    if point is None:
        return len(x) // 2
    return int(np.argmin(np.hypot(np.array(x) - point[0], np.array(y) - point[1])))


def chosen_proposal(inspection: Inspection, point: list[float] | None) -> int:
    """The proposal that a person points at.

    Args:
        inspection: an image whose proposals were judged.
        point: x and y in `pruning_plot`; None for the largest kept proposal.

    Returns:
        index of the proposal whose dot is nearest to the point.
    """
    stages, outcomes = inspection.explanation.stages, inspection.explanation.outcomes
    assert outcomes is not None
    if point is not None:
        x, y = plots.proposal_positions(outcomes)
        # One percent counts as much as a hundredth of similarity.
        far = np.hypot(np.array(x) - point[0], 100 * (np.array(y) - point[1]))
        return int(np.argmin(far))
    areas = stages.proposals.flatten(1).sum(1)
    kept = outcomes.clusters >= 0
    return int((areas + areas.max() * kept).argmax())


def _show_prompts(panel: types.Object, inspection: Inspection, state: Any, events: Any) -> None:
    explanation, config = inspection.explanation, inspection.config
    canvas = Canvas(inspection)
    prompt = chosen_prompt(inspection, state.point)
    votes = int(explanation.is_candidate.sum())
    count = len(explanation.prompts)
    heading(
        panel,
        f"{count} prompts ask: what looks like me?",
        f"{votes} of them find something that fills two borders: they vote for background. "
        f"The other {count - votes} propose objects.",
    )
    picture(
        panel,
        "prompts",
        plots.prompts_plot(canvas, prompt),
        "Pick a prompt",
        "Blue: background, orange: objects",
        on_click=events.pick_prompt,
    )
    own = int((explanation.owners == prompt).sum())
    found = f"{own} proposal{'s' * (own != 1)}"
    if explanation.is_candidate[prompt]:
        found = "it fills two borders: a vote for background"
    picture(
        panel,
        "affinity",
        plots.affinity_plot(canvas, prompt),
        f"What looks like prompt {prompt + 1}",
        f"Red is similar. Above {config.affinity_threshold:.2f}: {found}",
        on_click=events.pick_prompt,
    )


def _show_background(panel: types.Object, inspection: Inspection, state: Any, events: Any) -> None:
    explanation = inspection.explanation
    votes, count = int(explanation.is_candidate.sum()), len(explanation.prompts)
    background = explanation.stages.background
    share = 0.0 if background is None else float(background.float().mean())
    heading(
        panel,
        f"{votes} of {count} prompts vote for background",
        f"Patches with more than half of the votes are background: {share:.0%} of the image, "
        f"inside the yellow line.",
    )
    picture(
        panel,
        "votes",
        plots.votes_plot(Canvas(inspection)),
        "Votes for background",
        "In percent of the voting prompts",
    )
    _show_reason(panel, inspection)


def _show_pruning(panel: types.Object, inspection: Inspection, state: Any, events: Any) -> None:
    outcomes = inspection.explanation.outcomes
    if outcomes is None:
        _show_reason(panel, inspection)
        return
    verdicts = outcomes.verdicts
    counts = Counter(verdicts)
    pruned = [f"{counts[rule]} {rule.label} ({plots.COLOURS[rule].name})" for rule in RULES]
    proposal = chosen_proposal(inspection, state.proposal)
    heading(
        panel,
        f"{counts[Verdict.KEPT]} of {len(verdicts)} proposals {Verdict.KEPT.label}",
        f"From small to large: {', '.join(pruned)}.",
    )
    picture(
        panel,
        "proposals",
        plots.pruning_plot(inspection, proposal),
        "Pick a proposal",
        f"The lines are the thresholds; {plots.COLOURS[Verdict.KEPT].name} is kept",
        on_click=events.pick_proposal,
    )
    fate = plots.fate(verdicts[proposal])
    picture(
        panel,
        "proposal",
        plots.proposal_plot(Canvas(inspection), proposal),
        f"Proposal {proposal + 1}: {fate.lower()}",
        f"{fate}, as {verdicts[proposal].explanation}",
    )


def _show_merging(panel: types.Object, inspection: Inspection, state: Any, events: Any) -> None:
    stages = inspection.explanation.stages
    heading(
        panel,
        f"{len(stages.kept)} kept proposals make {len(stages.merged)} instances",
        "Proposals that lie on one another, or that overlap and look alike, become one.",
    )
    picture(
        panel,
        "merged",
        plots.merging_plot(Canvas(inspection)),
        "Instances",
        "Each colour is an instance; the lines are its proposals",
    )
    _show_reason(panel, inspection)


def _show_refinement(panel: types.Object, inspection: Inspection, state: Any, events: Any) -> None:
    count, accepted = len(inspection.refine_iou), int(inspection.accepted.sum())
    heading(
        panel,
        f"{accepted} of {count} masks are accepted",
        "The CRF moves each border to the edges of the image. A mask that it changes too much "
        "is dropped.",
    )
    canvas = Canvas(inspection)
    picture(panel, "before", plots.merging_plot(canvas), "Before", "As merged")
    picture(
        panel,
        "after",
        plots.refined_plot(canvas),
        "After",
        "Fitted to the pixels; these are the masks",
    )
    if count:
        picture(
            panel,
            "refine_iou",
            plots.refine_iou_plot(inspection),
            "How much of each mask stayed",
            "IoU before and after; a mask below the line is rejected",
            basis="100%",
        )
    _show_reason(panel, inspection)


def _show_reason(panel: types.Object, inspection: Inspection) -> None:
    reason = inspection.explanation.stages.reason
    if reason is not None:
        notice(panel, "reason", f"This image has no masks: {reason.explanation}", "warning")


STEPS = {
    "prompts": Step(
        "Prompts",
        ("seed_stride", "affinity_threshold", "component_area_ratio"),
        _show_prompts,
    ),
    "background": Step("Background", ("min_background_fraction",), _show_background),
    "pruning": Step("Pruning", ("background_overlap", "background_similarity"), _show_pruning),
    "merging": Step(
        "Merging", ("merge_overlap", "merge_overlap_similar", "merge_similarity"), _show_merging
    ),
    "refinement": Step("Refinement", ("refine_iou",), _show_refinement),
}
