"""The database server is stopped and started again while an operator runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parents[1]

SCRIPT = """
    import json, sys
    import fiftyone as fo
    from conftest import App

    dataset = fo.Dataset.from_images_dir(sys.argv[1], name="restarted")
    dataset.persistent = True
    dataset.set_values("note", ["kept"] * len(dataset))
    params = {"backbone": "embedded", "batch_size": 1, "num_workers": 0}
    app = App()
    stream = app.stream("generate_masks", dataset, params)
    for message in stream:
        if "of 4" in app.label(message.body.params):
            break
    print("RESTART", flush=True)
    sys.stdin.readline()
    _, first = app.read(stream)
    _, second = app.run("generate_masks", dataset, params)
    print(json.dumps({
        "first": first, "second": second, "notes": dataset.values("note"),
        "done": len(dataset.exists("promerge")),
    }))
"""


def test_a_run_survives_it_or_says_so_and_goes_on(
    plugin, photo_files, tmp_path, start_mongod, free_port
):
    data = tmp_path / "mongod"
    data.mkdir()
    port = free_port()
    mongod = start_mongod(data, port)
    environment = {**os.environ, "FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{port}"}
    script = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), photo_files[0].parent],
        env=environment,
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert any(line == "RESTART\n" for line in script.stdout), "it never started"
        mongod.terminate()
        mongod.wait()
        mongod = start_mongod(data, port)
        printed, _ = script.communicate("\n", timeout=300)
    finally:
        script.kill()
        mongod.terminate()
        mongod.wait()
    result = json.loads(printed.splitlines()[-1])
    if "error" in result["first"]:
        assert "what was done is kept" in result["first"]["error"]
        assert "Traceback" not in result["first"]["error"]
    assert "error" not in result["second"]
    assert result["done"] == 4
    assert result["notes"] == ["kept"] * 4
