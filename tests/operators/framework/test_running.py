"""Runs under way: stopped, left, beside one another, and disturbed."""

from __future__ import annotations

import time


def test_a_closed_page_stops_its_run(app, photos, gate):
    stream = app.stream("generate_masks", photos, app.QUICK)
    next(stream)
    stream.leave()
    gate.set()
    while "name" in app.form("stop_run", photos):
        time.sleep(0.05)
    assert len(photos.exists("promerge")) == 1
    _, result = app.run("generate_masks", photos, app.QUICK)
    assert result["images"] == 3


def test_two_runs_into_one_field_are_refused(app, photos, gate):
    first = app.stream("generate_masks", photos, app.QUICK)
    next(first)
    _, refused = app.run("generate_masks", photos, app.QUICK)
    assert f"promerge of {photos.name} is under way already" in refused["error"]
    gate.set()
    _, result = app.read(first)
    assert result["images"] == 4


def test_two_runs_into_two_fields_do_not_disturb_each_other(app, photos):
    other = {**app.QUICK, "method": "maskcut", "n_masks": 1, "label_field": "cut"}
    first = app.stream("generate_masks", photos, app.QUICK)
    second = app.stream("generate_masks", photos, other)
    next(first), next(second)
    results = [app.read(stream)[1] for stream in (first, second)]
    assert [result["images"] for result in results] == [4, 4]
    alone = photos.clone()
    try:
        alone.delete_sample_fields(["promerge", "cut"])
        alone.delete_runs()
        app.run("generate_masks", alone, app.QUICK)
        app.run("generate_masks", alone, other)
        for field in ("promerge", "cut"):
            path = f"{field}.detections.bounding_box"
            assert photos.values(path) == alone.values(path)
    finally:
        alone.delete()
    assert photos.values("note.label") == ["astronaut", "chelsea", "coffee", "rocket"]


def test_a_sample_deleted_during_a_run_hurts_no_other(app, photos, gate):
    stream = app.stream("generate_masks", photos, app.QUICK)
    next(stream)
    gone = photos.last().id
    photos.delete_samples(gone)
    gate.set()
    _, result = app.read(stream)
    assert gone not in photos.values("id")
    assert len(photos) == 3
    assert photos.values("note.label") == ["astronaut", "chelsea", "coffee"]
    if "error" in result:
        _, result = app.run("generate_masks", photos, app.QUICK)
    assert len(photos.exists("promerge")) == 3
