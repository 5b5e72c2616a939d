"""The operators in a real App, as a person uses them: find, fill in, run, look."""

from __future__ import annotations

import re

import pytest

GENERATE = "Generate masks (ProMerge)"
SLOW_ITERATIONS = "100"
DRAWING_SECONDS = 60


@pytest.fixture
def generate(app):
    """Opens the form of `generate_masks` and fills in what runs without a download."""

    def open_form(**fields):
        app.open_operator(GENERATE)
        app.fill("Backbone", "embedded")
        for label, value in fields.items():
            app.fill(label.replace("_", " "), value)

    return open_form


def open_slow_form(app, generate):
    """A run of some ten seconds: long enough to be stopped in the middle."""
    generate()
    app.open_section("Input size and refinement")
    app.fill("CRF iterations", SLOW_ITERATIONS)
    app.open_section("Machine")
    app.fill("Batch size", "1")


def wait_until_no_run_is_under_way(app):
    """Opens the form that lists the runs until it lists none: a run ends with its batch."""
    none = app.prompt.get_by_text("No run is under way")
    one = app.prompt.get_by_text("promerge of")
    while True:
        app.open_operator("Stop a run (ProMerge)")
        none.or_(one).first.wait_for()
        ended = none.is_visible()
        app.page.keyboard.press("Escape")
        app.prompt.wait_for(state="detached")
        if ended:
            return


def test_every_operator_is_found_and_has_a_form(app):
    for label in (
        GENERATE,
        "Evaluate masks (COCO AP and AR)",
        "Train a detector (ProMerge+)",
        "Apply a detector (ProMerge+)",
        "Load a benchmark (ProMerge)",
        "Export masks as COCO json (ProMerge)",
        "Stop a run (ProMerge)",
    ):
        app.open_operator(label)
        app.prompt.get_by_role("button", name="Cancel").click()
        app.prompt.wait_for(state="detached")


def test_a_wrong_value_shows_its_message_and_cannot_be_run(app, generate):
    generate()
    app.open_section("Input size and refinement")
    app.fill("CRF iterations", "1000")
    app.prompt.get_by_text("CRF iterations must be between 1 and 100; got 1000").first.wait_for()
    assert app.prompt.get_by_role("button", name="Execute").is_disabled()
    app.fill("Label field", "filepath")
    app.prompt.get_by_text("holds StringField, not Detections").wait_for()


def test_masks_appear_on_the_canvas(app, dataset, generate):
    before = app.cy("looker").first.screenshot()
    generate(Label_field="found")
    app.execute()
    output = app.output()
    dataset.reload()
    masks = dataset.count("found.detections")
    assert masks > 0
    assert f"{masks} masks on 4 images are in the field found" in output
    app.page.get_by_text("found", exact=True).first.wait_for()
    for _ in range(DRAWING_SECONDS):
        if app.cy("looker").first.screenshot() != before:
            return
        app.page.wait_for_timeout(1000)
    raise AssertionError("the first sample looks as before")


def test_closing_the_page_stops_the_run_and_the_next_one_goes_on(app, dataset, generate, page):
    open_slow_form(app, generate)
    app.execute()
    page.get_by_text(re.compile("Segmenting: [123] of 4")).wait_for()
    page.goto("about:blank")
    app.open(dataset.name)
    wait_until_no_run_is_under_way(app)
    dataset.reload()
    done = len(dataset.exists("promerge"))
    assert 1 <= done < 4
    open_slow_form(app, generate)
    app.execute()
    assert f"on {4 - done} images" in app.output()
    assert len(dataset.exists("promerge")) == 4
