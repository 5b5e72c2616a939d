"""The inspector in a real App: what a person clicks changes what is shown."""

from __future__ import annotations

import re

import pytest

PANEL = "promerge_inspector"


@pytest.fixture
def inspector(app, dataset):
    """The panel beside the open photo of a cup of coffee."""
    app.open_sample(dataset, dataset.skip(2).first().id)
    return app.open_panel(PANEL, ".js-plotly-plot >> nth=1", within="#modal")


def heatmap(panel):
    """The values of the affinity's heatmap, as Plotly has them."""
    return panel.locator(".js-plotly-plot").nth(1).evaluate("plot => plot.data[0].z")


def test_click_on_a_prompt_shows_what_looks_like_it(inspector, expect):
    title = inspector.get_by_text("What looks like prompt")
    expect(title).to_have_text("What looks like prompt 113")
    before = heatmap(inspector)
    picture = inspector.locator(".js-plotly-plot .nsewdrag").first
    picture.click(position={"x": 20, "y": 20})
    expect(title).not_to_have_text("What looks like prompt 113")
    assert heatmap(inspector) != before


def test_sliders_redo_the_stages_and_their_values_go_to_the_form(app, inspector, expect):
    expect(inspector.get_by_text("225 prompts ask")).to_be_visible()
    before = heatmap(inspector)
    slider = inspector.locator("input[type=range]").first
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(inspector.get_by_text("100 prompts ask")).to_be_visible()
    assert heatmap(inspector) != before
    inspector.get_by_role("tab", name="Pruning").click()
    expect(inspector.get_by_text("proposals are kept")).to_be_visible()
    inspector.get_by_role("button", name="Use for the dataset").click()
    expect(app.prompt.get_by_text("Seed stride", exact=True)).to_be_visible()
    assert app.field("Backbone").input_value().startswith("embedded")
    assert app.field("Seed stride").input_value() == "6"


def test_each_step_says_and_shows_what_happened(inspector, expect):
    for tab, says in (
        ("Background", r"\d+ of 225 prompts vote for background"),
        ("Pruning", r"\d+ of \d+ proposals are kept"),
        ("Merging", r"\d+ kept proposals make \d+ instances"),
        ("Refinement", r"\d+ of \d+ masks are accepted"),
    ):
        inspector.get_by_role("tab", name=tab).click()
        expect(inspector.get_by_text(re.compile(says))).to_be_visible()
        expect(inspector.locator(".js-plotly-plot").first).to_be_visible()


def test_unknown_backbone_is_one_sentence(inspector, expect):
    backbone = inspector.locator('xpath=.//p[.="Backbone"]/following::input[1]')
    backbone.fill("nonsense")
    backbone.press("Tab")
    expect(inspector.get_by_text("unknown backbone 'nonsense'")).to_be_visible()
    expect(inspector.locator(".js-plotly-plot")).to_have_count(0)


def test_stored_maps_are_fields_of_the_sample(inspector, expect, dataset):
    inspector.get_by_role("button", name="Store the maps").click()
    expect(inspector.page.get_by_text("Stored: promerge_affinity")).to_be_visible()
    dataset.reload()
    assert dataset.exists("promerge_affinity").count() == 1
    assert dataset.exists("promerge_instances").count() == 1


def test_without_a_sample_the_figures_of_the_dataset_are_shown(app, expect, dataset):
    import fiftyone as fo

    for number, sample in enumerate(dataset):
        boxes = [[0, 0, 0.5, 0.1 * (n + 1)] for n in range(number)]
        sample["promerge"] = fo.Detections(
            detections=[fo.Detection(bounding_box=box, confidence=0.5) for box in boxes]
        )
        sample.save()
    app.open(dataset.name)
    panel = app.open_panel(PANEL, ".js-plotly-plot")
    expect(panel.get_by_text("6 masks on 4 images")).to_be_visible()
    expect(panel.get_by_text("images without masks: 1")).to_be_visible()
    expect(panel.locator(".js-plotly-plot")).to_have_count(3)
