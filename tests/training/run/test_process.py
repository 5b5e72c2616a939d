"""A process of a launched run tells by files what it does, and why it ended."""

from __future__ import annotations

import json

import pytest

from fiftyone_promerge.training.run.process import main


@pytest.fixture
def begun(trained, tmp_path):
    """The folder of a run that has only been begun."""
    folder = trained[0].parents[1]
    (tmp_path / "round_0").mkdir()
    for name in ("run.json", "round_0/records.jsonl", "round_0/records.index.npy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def failure(folder):
    return json.loads((folder / "failure.json").read_text())


def test_it_trains_and_tells_how_far_it_is(begun):
    main(begun)
    assert (begun / "round_0" / "detector.pt").is_file()
    progress = json.loads((begun / "progress.json").read_text())
    assert progress["done"] == 4 and progress["metrics"]["loss"] > 0
    assert not (begun / "failure.json").exists()
    left = {path.name for path in begun.iterdir()}
    assert left == {"run.json", "round_0", "progress.json"}


def test_a_file_stops_it_and_that_is_no_failure_of_the_process(begun):
    (begun / "stop").touch()
    main(begun)
    assert failure(begun)["stopped"]
    assert "stopped after 1 of 4 iterations" in failure(begun)["message"]
    assert (begun / "round_0" / "last.ckpt").is_file()


def test_a_failure_is_told_and_ends_the_process(begun):
    (begun / "round_0" / "records.jsonl").unlink()
    with pytest.raises(SystemExit, match="no training records at"):
        main(begun)
    assert not failure(begun)["stopped"]
    assert "no training records at" in failure(begun)["message"]
