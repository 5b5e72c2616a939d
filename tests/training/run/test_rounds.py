"""Rounds: chained, labelled between, resumed anywhere."""

from __future__ import annotations

from fiftyone_promerge.training import loss_curve
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint


def test_rounds_are_chained_and_resumed_between_any_two_steps(
    trained, run, records, tmp_path, kill_after, state, assert_same
):
    images = tmp_path / "images"
    images.mkdir()
    kill_after(5, images, tmp_path / "run", rounds=2)
    round_0, round_1 = (tmp_path / "run" / f"round_{number}" for number in range(2))
    assert (round_1 / "records.jsonl").exists() and not (round_1 / "detector.pt").exists()
    labels = (round_1 / "records.jsonl").read_bytes()
    calls = []
    path = run(records, tmp_path / "run", rounds=2, progress=lambda *call: calls.append(call))
    assert path == round_1 / "detector.pt"
    assert read_checkpoint(path).round == 1
    assert list(loss_curve(tmp_path / "run")) == list(range(1, 7))
    assert [call[:2] for call in calls] == [(5, 6), (6, 6)]
    assert {call[2]["round"] for call in calls} == {1}
    assert (round_1 / "records.jsonl").read_bytes() == labels
    first, second = state(round_0 / "detector.pt"), state(path)
    assert_same(state(trained[0]), first)
    # The second round's learning rate is 0: it still has the weights that it began with.
    weights = [name for name in first if name.endswith("weight")]
    assert_same({n: first[n] for n in weights}, {n: second[n] for n in weights})
