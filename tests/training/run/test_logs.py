"""The losses that engines log are read back, also while they are written."""

from __future__ import annotations

import json

from fiftyone_promerge.training.run.logs import logged_losses


def test_csv_files_of_a_resumed_run_are_read_together(tmp_path):
    for version, rows in enumerate(["1.5,0,\n,0,0.2\n", "1.25,1,\n0.5"]):
        (tmp_path / "csv" / f"version_{version}").mkdir(parents=True)
        text = "loss,step,AP\n" + rows  # the last line of the second one is being written
        (tmp_path / "csv" / f"version_{version}" / "metrics.csv").write_text(text)
    assert sorted(logged_losses(tmp_path)) == [(1, 1.5), (2, 1.25)]


def test_json_lines_are_read_and_the_half_written_one_left_out(tmp_path):
    lines = [{"iteration": 19, "total_loss": 3.0}, {"iteration": 20, "AP": 0.5}]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"iteration": 39, "tot'
    (tmp_path / "metrics.json").write_text(text)
    assert list(logged_losses(tmp_path)) == [(20, 3.0)]


def test_where_nothing_is_logged_there_is_nothing(tmp_path):
    assert list(logged_losses(tmp_path)) == []
