"""`stop_run` as the App asks for it."""

from __future__ import annotations


def test_a_stopped_run_keeps_what_it_did_and_goes_on(app, photos, gate):
    stream = app.stream("generate_masks", photos, app.QUICK)
    next(stream)
    names = app.form("stop_run", photos)["name"]["type"]["values"]
    assert names == [f"promerge of {photos.name}"]
    app.stream("stop_run", photos, {"name": names[0]})
    gate.set()
    invoked, result = app.read(stream)
    assert "was stopped; what was done is kept" in result["error"]
    notice = app.shown(invoked)["stopped"]
    assert (notice["view"]["label"], notice["view"]["description"]) == ("Stopped", result["error"])
    assert len(photos.exists("promerge")) == 1
    _, result = app.run("generate_masks", photos, app.QUICK)
    assert result["images"] == 3
    assert len(photos.exists("promerge")) == 4


def test_no_run_is_under_way(app, photos):
    assert list(app.form("stop_run", photos)) == ["none"]
    result = app.stream("stop_run", photos, {"name": "promerge of nothing"})
    assert result == {"name": "promerge of nothing", "stopped": False}
