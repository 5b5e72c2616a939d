"""What each stage made of an image, as plots."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def plots(database):
    from fiftyone_promerge.operators.inspector import plots

    return plots


@pytest.fixture
def canvas(photo):
    from fiftyone_promerge.operators.inspector.canvas import Canvas

    return Canvas(photo)


def test_every_verdict_has_a_colour_of_its_own(plots):
    from promerge_core.stages.pruning import RULES, Verdict

    assert set(plots.COLOURS) == {Verdict.KEPT, *RULES}
    assert len({colour.code for colour in plots.COLOURS.values()}) == len(plots.COLOURS)


def test_the_chosen_prompt_is_larger(plots, canvas):
    (dots,) = plots.prompts_plot(canvas, 7)["data"]
    sizes = dots["marker"]["size"]
    assert len(sizes) == len(canvas.inspection.explanation.prompts)
    assert [index for index, size in enumerate(sizes) if size == max(sizes)] == [7]


def test_each_proposal_of_a_prompt_is_outlined(plots, canvas):
    owners = canvas.inspection.explanation.owners
    prompt = int(owners[0])
    heat, *outlines, here = plots.affinity_plot(canvas, prompt)["data"]
    assert heat["type"] == "heatmap" and here["mode"] == "markers"
    assert len(outlines) == int((owners == prompt).sum())


def test_kept_proposals_lie_on_the_kept_side_of_the_thresholds(plots, photo):
    from promerge_core.stages.pruning import Verdict

    plot = plots.pruning_plot(photo, 0)
    (dots,) = plot["data"]
    config, verdicts = photo.config, photo.explanation.outcomes.verdicts
    assert plot["layout"]["shapes"][0]["y0"] == config.background_similarity
    assert plot["layout"]["shapes"][1]["x0"] == 100 * config.background_overlap
    kept = np.array([verdict is Verdict.KEPT for verdict in verdicts])
    x, y = np.array(dots["x"])[kept], np.array(dots["y"])[kept]
    assert kept.any() and (y < config.background_similarity).all()
    assert (x < 100 * config.background_overlap).all()


def test_a_proposal_stands_out_and_the_rest_is_dark(plots, canvas, monkeypatch):
    drawn = []
    monkeypatch.setattr(canvas, "plot", lambda traces, pixels: drawn.append((traces, pixels)))
    plots.proposal_plot(canvas, 0)
    ((outlines, pixels),) = drawn
    mask = canvas.masks(canvas.inspection.explanation.stages.proposals[:1])[0]
    assert len(outlines) == 2
    assert np.array_equal(pixels[~mask], canvas.pixels[~mask] // 2)


def test_each_instance_says_whether_it_is_accepted(plots, photo):
    plot = plots.refine_iou_plot(photo)
    (bars,) = plot["data"]
    said = [text.split()[1] for text in bars["text"]]
    expected = ["accepted" if one else "rejected" for one in photo.accepted.tolist()]
    assert said == expected and len(said) == len(photo.refine_iou)
    assert plot["layout"]["shapes"][0]["x0"] == photo.config.refine_iou


def test_an_image_without_masks_has_plots_too(plots, plain):
    from fiftyone_promerge.operators.inspector.canvas import Canvas

    canvas = Canvas(plain)
    for draw in (plots.votes_plot, plots.merging_plot, plots.refined_plot):
        assert draw(canvas)["layout"]["images"]
