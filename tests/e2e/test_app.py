"""The plugin in a real App."""

from __future__ import annotations


def test_grid_shows_the_samples_and_the_operator_browser_ours(app, expect, dataset):
    expect(app.cy("looker")).to_have_count(len(dataset))
    found = app.find_operators("ProMerge")
    expect(found).to_contain_text("Generate masks (ProMerge)")
    expect(found).to_contain_text("generate_masks")


def test_form_runs_with_progress_and_the_masks_are_in_the_field(app, expect, dataset):
    app.open_operator("Generate masks (ProMerge)")
    app.fill("Backbone", "embedded")
    app.open_section("Machine")
    app.fill("Workers", "0")
    app.fill("Batch size", "1")
    app.execute()
    expect(app.page.get_by_text("of 4").first).to_be_visible()
    expect(app.page.get_by_role("button", name="Stop")).to_be_visible()
    assert "on 4 images" in app.output()
    dataset.reload()
    assert dataset.count("promerge.detections") > 0
    assert dataset.exists("promerge").count() == 4
