"""What every operator that runs for a while has in common: its errors and its output."""

from __future__ import annotations

import pytest


def test_weights_that_do_not_fit_are_one_sentence(app, photos, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_text("no weights")
    params = {**app.QUICK, "backbone": "dino_vits16", "weights": str(weights)}
    _, result = app.run("generate_masks", photos, params)
    assert f"{weights} is not a readable .pth or .safetensors file" in result["error"]
    assert "Traceback" not in result["error"]
    assert not photos.has_field("promerge")


@pytest.mark.parametrize(
    ("result", "shown"),
    [({"error": "It is cold."}, "error"), ({"annotations": 3, "path": "a.json"}, "summary")],
)
def test_a_delegated_run_shows_its_output_at_the_end(plugin, result, shown):
    import fiftyone.operators as foo

    operator = foo.get_operator("@promerge/promerge/export_coco")
    request = {"delegated": True, "results": result}
    ctx = foo.ExecutionContext(request)
    outputs = operator.resolve_output(ctx).to_json()["type"]["properties"]
    assert list(outputs) == [shown]
    live = foo.ExecutionContext({"results": result})
    assert not operator.resolve_output(live).to_json()["type"]["properties"]
