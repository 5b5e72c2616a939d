"""The inspector's steps of one image: what is picked, which words stand above the pictures."""

from __future__ import annotations

import json

import pytest


class State:
    """What a person picked; nothing yet."""

    point = proposal = None


class Events:
    """Names for the panel's events."""

    pick_prompt = "pick-prompt"
    pick_proposal = "pick-proposal"


def drawn(name, inspection):
    from fiftyone.operators import types

    from fiftyone_promerge.operators.inspector.steps import STEPS

    panel = types.Object()
    STEPS[name].show(panel, inspection, State, Events)
    return json.dumps(panel.to_json())


def test_each_parameter_of_the_stages_belongs_to_one_step(database):
    from fiftyone_promerge.operators.inspector.steps import STEPS
    from promerge_core import ProMergeConfig

    shown = [name for step in STEPS.values() for name in step.parameters]
    assert len(shown) == len(set(shown))
    assert set(shown) <= {one.name for one in ProMergeConfig.parameters()}


def test_the_words_count_what_the_stages_have(photo):
    stages = photo.explanation.stages
    counts = {
        "prompts": f"{len(photo.explanation.prompts)} prompts ask",
        "pruning": f"{len(stages.kept)} of {len(stages.proposals)} proposals",
        "merging": f"{len(stages.kept)} kept proposals make {len(stages.merged)} instances",
        "refinement": f"{int(photo.accepted.sum())} of {len(stages.merged)} masks are accepted",
    }
    for name, words in counts.items():
        assert words in drawn(name, photo), name


def test_a_point_picks_what_is_nearest(photo):
    from fiftyone_promerge.operators.inspector import plots, steps
    from fiftyone_promerge.operators.inspector.canvas import Canvas

    x, y = Canvas(photo).patch_centres(photo.explanation.prompts)
    assert steps.chosen_prompt(photo, [x[3] + 0.1, y[3]]) == 3
    assert steps.chosen_prompt(photo, None) == len(x) // 2
    x, y = plots.proposal_positions(photo.explanation.outcomes)
    picked = steps.chosen_proposal(photo, [x[1], y[1]])
    assert (x[picked], y[picked]) == (x[1], y[1])
    areas = photo.explanation.stages.proposals.flatten(1).sum(1)
    kept = photo.explanation.outcomes.clusters >= 0
    assert areas[steps.chosen_proposal(photo, None)] == areas[kept].max()


@pytest.mark.parametrize("name", ["background", "pruning", "merging", "refinement"])
def test_an_image_without_masks_says_why(plain, name):
    reason = plain.explanation.stages.reason
    assert reason.explanation in drawn(name, plain)
