"""A curator's afternoon: from forty photos without a label to a COCO file, in a real App.

It also makes the pictures of docs/app.md:
PROMERGE_SCREENSHOTS=docs/images/app pytest tests/e2e/test_afternoon.py
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

INSPECTOR = "promerge_inspector"
GENERATE = "Generate masks (ProMerge)"
EVALUATE = "Evaluate masks (COCO AP and AR)"
INSPECT = "Open the ProMerge inspector"
EXPORT = "Export masks as COCO json (ProMerge)"
SIZE = (240, 160)
SMALL_INPUT = "160"
SLOW_INPUT, SLOW_ITERATIONS = "480", "60"
"""More than a second per image on any processor of today, so that there is time to stop."""
PATIENCE_S = 240
# One object of each of the demo's photos as a person would outline it: an ellipse, in fractions of
# the image's width and height.
OBJECTS = {
    "chelsea": (0.12, 0.02, 0.86, 1.0),
    "coffee": (0.26, 0.08, 0.68, 0.72),
    "astronaut": (0.2, 0.05, 0.75, 1.0),
    "rocket": (0.44, 0.25, 0.56, 0.8),
    "motorcycle_left": (0.15, 0.2, 0.85, 0.9),
    "coins": (0.4, 0.25, 0.6, 0.5),
    "flower": (0.33, 0.12, 0.66, 0.72),
    "china": (0.2, 0.2, 0.85, 0.75),
}
# Left, top, right and bottom of a crop.
CROPS = ((0, 0, 1, 1), (0, 0, 0.8, 0.8), (0.2, 0, 1, 0.8), (0, 0.2, 0.8, 1), (0.1, 0.1, 0.9, 0.9))


@pytest.fixture
def album(database, tmp_path):
    """Forty small photos with one hand-drawn object each, and a saved view of the first ten."""
    import fiftyone as fo

    from fiftyone_promerge.demo import demo_photos

    samples = []
    for number, crop in enumerate(CROPS):
        for path in demo_photos():
            photo = Image.open(path).convert("RGB")
            drawn = Image.new("L", photo.size)
            ends = np.array(OBJECTS[path.stem]) * (photo.size * 2)
            ImageDraw.Draw(drawn).ellipse(ends.tolist(), fill=255)
            box = tuple(int(end) for end in np.array(crop) * (photo.size * 2))
            photo, drawn = (image.resize(SIZE, box=box) for image in (photo, drawn))
            file = tmp_path / f"{number}_{path.stem}.jpg"
            photo.save(file)
            mask = np.asarray(drawn) > 127
            truth = fo.Detection.from_mask(mask, label="object")
            samples.append(fo.Sample(str(file), ground_truth=fo.Detections(detections=[truth])))
    dataset = fo.Dataset(f"album-{uuid.uuid4().hex[:6]}", persistent=True)
    dataset.add_samples(samples)
    dataset.save_view("first-ten", dataset.limit(10))
    yield dataset
    dataset.delete()


@pytest.fixture
def shoot(page, tmp_path):
    """Takes the picture of a step: of the page, or of one element of it."""
    folder = Path(os.environ.get("PROMERGE_SCREENSHOTS", tmp_path))

    def take(name, element=None):
        page.wait_for_timeout(700)  # FiftyOne's dialogs fade in
        file = tmp_path / f"{name}.png"
        (element or page).screenshot(path=file)
        picture = Image.open(file).convert("RGB")
        picture.thumbnail((1000, 1000))
        picture.save(folder / f"{name}.jpg", quality=72, optimize=True)

    return take


@pytest.fixture
def launch(server, tmp_path):
    """Starts `fiftyone delegated launch`, which does what was scheduled."""
    running = []

    def start():
        command = [str(Path(sys.executable).with_name("fiftyone")), "delegated", "launch"]
        with (tmp_path / "launch.log").open("wb") as log:
            running.append(
                subprocess.Popen(command, env=server.environment, stdout=log, stderr=log)
            )

    yield start
    for process in running:
        process.terminate()
        process.wait()


def fill_small_model(app):
    """What runs without a download, in a second per image."""
    app.fill("Backbone", "embedded")
    app.open_section("Input size and refinement")
    app.fill("Image size", SMALL_INPUT)
    app.open_section("Machine")
    app.fill("Workers", "0")
    app.fill("Batch size", "1")


def open_slow_form(app):
    """A run of ten seconds and more: long enough to be stopped in the middle."""
    app.open_operator(GENERATE)
    app.prompt.get_by_text("MaskCut").click()
    app.fill("Label field", "cut")
    fill_small_model(app)
    app.fill("Image size", SLOW_INPUT)
    app.fill("CRF iterations", SLOW_ITERATIONS)


def first_line(app):
    return app.prompt.get_by_role("alert").first


def instance_colours(shown, sample):
    """The colour in which the App paints each mask of a sample, recovered from its picture."""
    picture = np.asarray(shown.resize(SIZE)).astype(float)
    photo = np.asarray(Image.open(sample.filepath)).astype(float)
    colours = []
    for detection in sample.promerge.detections:
        mask = detection.to_segmentation(frame_size=SIZE).mask > 0
        colours.append(np.median((picture - 0.3 * photo)[mask] / 0.7, axis=0))
    return np.array(colours)


@pytest.mark.timeout(900)
def test_a_curators_afternoon(app_at, album, shoot, launch, expect, page, tmp_path):
    page.set_viewport_size({"width": 1280, "height": 800})
    app = app_at(album)
    expect(app.cy("entry-counts")).to_contain_text("40")
    preview(app, page, shoot, expect)
    generate_on_a_view(app, page, album, shoot, expect)
    look_at_colours(app, page, album, shoot, expect)
    schedule_what_the_inspector_found(app, page, album, shoot, expect, launch)
    stop_and_continue(app, page, album, shoot, expect)
    evaluate(app, page, shoot, expect)
    look_at_the_figures(app, page, shoot, expect)
    export(app, page, album, shoot, expect, tmp_path)


def preview(app, page, shoot, expect):
    app.open_operator(GENERATE)
    expect(first_line(app)).to_have_text("40 images: all to do")
    fill_small_model(app)
    app.prompt.get_by_role("button", name="Preview on the first image").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(re.compile("Loading the backbone embedded|nothing was written"))
    expect(dialog).to_contain_text("nothing was written")
    shoot("preview", dialog)
    dialog.get_by_role("button", name="Done").click()
    page.keyboard.press("Escape")


def generate_on_a_view(app, page, album, shoot, expect):
    app.open(album.name, view="first-ten")
    expect(app.cy("entry-counts")).to_contain_text("10")
    app.open_operator(GENERATE)
    expect(first_line(app)).to_have_text("10 images: all to do")
    expect(app.prompt.get_by_text("40 images: all to do")).to_be_visible()
    app.fill("Backbone", "embedded")
    shoot("form", app.prompt)
    fill_small_model(app)
    app.execute()
    said = app.output()
    assert "on 10 images are in the field promerge" in said
    expect(app.cy("entry-counts")).to_contain_text("10")
    album.reload()
    assert len(album.exists("promerge")) == 10
    expect(app.cy("checkbox-promerge").locator("input")).to_be_checked()


def look_at_colours(app, page, album, shoot, expect):
    """Masks of one image differ in colour; by field or by class they would not."""
    import fiftyone as fo

    with_several = album.match(fo.ViewField("promerge.detections").length() > 1)
    place = album.values("id").index(with_several.first().id)
    app.cy("checkbox-ground_truth").click()
    expect(app.cy("checkbox-ground_truth").locator("input")).not_to_be_checked()
    page.wait_for_timeout(3000)  # the grid draws image by image
    shoot("masks")
    drawn = Image.open(io.BytesIO(app.cy("looker").nth(place).screenshot())).convert("RGB")
    colours = instance_colours(drawn, with_several.first())
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert apart.max() > 60, colours


def schedule_what_the_inspector_found(app, page, album, shoot, expect, launch):
    app.open_sample(album, album.skip(1).first().id)
    panel = app.open_panel(INSPECTOR, ".js-plotly-plot >> nth=1", within="#modal")
    expect(panel.get_by_text("Affinity threshold: 0.2", exact=True)).to_be_visible()
    shoot("inspector")
    slider = panel.locator("input[type=range]").nth(1)
    for _ in range(5):
        slider.press("ArrowRight")
    expect(panel.get_by_text("Affinity threshold: 0.25", exact=True)).to_be_visible()
    panel.get_by_role("tab", name="Pruning").click()
    expect(panel.get_by_text(re.compile("proposals are kept"))).to_be_visible()
    shoot("pruning")
    panel.get_by_role("button", name="Use for the dataset").click()
    expect(app.prompt.get_by_text("Affinity threshold: 0.25", exact=True)).to_be_visible()
    assert app.field("Label field").input_value() == "promerge_2"
    app.prompt.get_by_text("Whole dataset").click()
    expect(first_line(app)).to_have_text("40 images: all to do")
    app.prompt.locator("button").last.click()
    shoot("schedule", app.prompt)
    page.get_by_text("Run this operation in the background").click()
    app.prompt.get_by_role("button", name="Schedule").click()
    expect(page.get_by_text("Operation successfully scheduled")).to_be_visible()
    app.open(album.name)
    app.open_operator(GENERATE)
    expect(first_line(app)).to_contain_text("waits for fiftyone delegated launch in a terminal")
    shoot("waiting", app.prompt)
    page.keyboard.press("Escape")
    app.prompt.wait_for(state="detached")
    launch()
    for _ in range(PATIENCE_S):
        album.reload()
        if album.has_field("promerge_2") and len(album.exists("promerge_2")) == len(album):
            return
        page.wait_for_timeout(1000)
    raise AssertionError("the scheduled run made no masks in time")


def stop_and_continue(app, page, album, shoot, expect):
    app.open(album.name, view="first-ten")
    open_slow_form(app)
    app.execute()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(re.compile(r"Segmenting: [1-9] of 10, about .* left"))
    shoot("progress", dialog)
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog).to_contain_text(
        "was stopped; what was done is kept, and the same form continues"
    )
    shoot("stopped", dialog)
    app.output()
    album.reload()
    done = len(album.exists("cut"))
    assert 1 <= done < 10
    app.open_operator(GENERATE)
    app.fill("Label field", "cut")
    expect(first_line(app)).to_have_text(
        re.compile(f"10 images: {10 - done} to do, {done} (has|have) masks")
    )
    # What made the field is filled in already.
    expect(app.prompt.get_by_role("radio", name="MaskCut")).to_be_checked()
    expect(app.field("CRF iterations")).to_have_value(SLOW_ITERATIONS)
    shoot("continue", app.prompt)
    app.execute()
    said = app.output()
    assert re.search(f"on {10 - done} images? are in the field cut", said), said
    assert re.search(f"{done} images? had masks already", said), said


def evaluate(app, page, shoot, expect):
    app.open_operator(EVALUATE)
    app.prompt.get_by_text("Whole dataset").click()
    app.fill("Predictions", "promerge")
    expect(first_line(app)).to_have_text("40 images: 10 have labels in promerge, 30 have none")
    assert app.field("Ground truth").input_value() == "ground_truth"
    app.prompt.get_by_text("The 10 with labels in promerge alone").click()
    shoot("evaluate", app.prompt)
    app.execute()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("10 of 40 images, judged by ground_truth")
    expect(dialog).to_contain_text("average precision, small objects, under 32 x 32 pixels")
    shoot("metrics", dialog)
    said = app.output()
    assert re.search(r"AP50\s+\d+\.\d", said), said
    assert re.search(r"APs\s+—", said), said  # no object is so small


def look_at_the_figures(app, page, shoot, expect):
    # The panel Model Evaluation, which the evaluation opened.
    page.get_by_title("Close", exact=True).last.click()
    app.find_operators(INSPECT).get_by_text(INSPECT, exact=True).click()
    figures = app.cy(f"panel-content-{INSPECTOR}")
    expect(figures.get_by_text(re.compile("masks? on 10 images"))).to_be_visible()
    expect(figures.get_by_text("AP and AR over all IoUs from 0.5")).to_be_attached()
    shoot("figures")


def export(app, page, album, shoot, expect, tmp_path):
    app.open_operator(EXPORT)
    app.prompt.get_by_text("Whole dataset").click()
    app.fill("Label field", "cut")
    assert app.field("File").input_value().endswith("_cut.json")
    app.fill("File", str(tmp_path / "masks.txt"))
    expect(app.prompt.get_by_text("masks.txt must end in .json")).to_be_visible()
    shoot("export", app.prompt)
    app.fill("File", str(tmp_path / "masks.json"))
    app.execute()
    said = app.output()
    masks = album.count("cut.detections")
    assert f"{masks} annotations are in" in said
    content = json.loads((tmp_path / "masks.json").read_text())
    assert (len(content["images"]), len(content["annotations"])) == (40, masks)
