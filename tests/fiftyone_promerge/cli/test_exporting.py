"""The command `promerge export-detector`; tests/training has those of what it writes."""

from __future__ import annotations


def test_a_checkpoint_that_is_not_there_is_one_sentence(promerge, tmp_path):
    result = promerge("export-detector", str(tmp_path / "gone.pt"), str(tmp_path / "x.onnx"))
    assert result.exit_code == 1
    assert "no checkpoint at" in promerge.message(result)
    assert not [*tmp_path.iterdir()]
