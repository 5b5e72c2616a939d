"""The plugin and the zoo models in an environment where the project itself is not installed.

The environment has the requirements alone. The repository is downloaded from a server on this
machine, as FiftyOne downloads it from GitHub.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
import zipfile
from pathlib import Path

import pytest
from skimage import data
from skimage.io import imsave
from skimage.transform import resize

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "torchvision", "timm", "lightning", "sklearn", "skimage", "scipy", "matplotlib"}
"""What takes seconds to import, or is needed by runs and the inspector alone."""

CLI = "from fiftyone.core.cli import main; main()"


@pytest.fixture(scope="module")
def bare(tmp_path_factory, database):
    """A Python with the requirements of the project and without the project, and its settings."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    python = home / "venv" / "bin" / "python"
    site = sysconfig.get_path("purelib", vars={"base": home / "venv", "platbase": home / "venv"})
    # A path in a .pth file is searched, but the .pth files in it, which make the project
    # importable, are not read.
    Path(site, "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    settings = {
        **os.environ,
        "FIFTYONE_DATABASE_NAME": "promerge-bare",
        "FIFTYONE_PLUGINS_DIR": str(home / "plugins"),
        "FIFTYONE_MODEL_ZOO_DIR": str(home / "models"),
        "OMP_NUM_THREADS": "1",
    }
    settings.pop("PYTHONPATH", None)

    def run(*arguments, check=True):
        done = subprocess.run(
            [python, *arguments], env=settings, cwd=home, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    run.home, run.python, run.settings = home, python, settings
    assert run("-c", "import fiftyone_promerge", check=False).returncode
    return run


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Where a zip of the repository can be downloaded."""
    folder = tmp_path_factory.mktemp("web")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git clone: what a download would hold is not known")
    with zipfile.ZipFile(folder / "promerge.zip", "w") as archive:
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                archive.write(ROOT / name, f"fiftyone-promerge-main/{name}")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/promerge.zip"
        server.shutdown()


@pytest.fixture(scope="module")
def photos(bare):
    """A dataset of small photos, `photos`, in the bare environment's database."""
    folder = bare.home / "photos"
    folder.mkdir()
    for name in ("chelsea", "coffee", "astronaut"):
        image = resize(getattr(data, name)(), (150, 200), anti_aliasing=True)
        imsave(folder / f"{name}.jpg", (image * 255).astype("uint8"))
    bare(
        "-c",
        "import fiftyone as fo; d = fo.Dataset.from_images_dir('photos', name='photos');"
        "d.persistent = True",
    )


@pytest.fixture(scope="module")
def plugin(bare, url):
    """The plugin, downloaded and with its requirements checked, as the README says."""
    bare("-c", CLI, "plugins", "download", url)
    bare("-c", CLI, "plugins", "requirements", "@promerge/promerge", "--install")


def execute(bare, script):
    """What a script prints as JSON in its last line."""
    preamble = """
        import json
        import fiftyone as fo
        import fiftyone.operators as foo
        from fiftyone.operators.delegated import DelegatedOperationService
        URI = "@promerge/promerge/generate_masks"
        def params(field):
            return {"backbone": "embedded", "label_field": field, "num_workers": 2,
                    "image_size": 240, "batch_size": 2}
    """
    done = bare("-c", textwrap.dedent(preamble) + textwrap.dedent(script))
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_plugin_is_listed_with_all_its_operators(bare, plugin):
    plugins = bare("-c", CLI, "plugins", "list").stdout
    assert any("@promerge/promerge" in line and "✓" in line for line in plugins.splitlines())
    operators = bare("-c", CLI, "operators", "list").stdout
    for name in (
        "generate_masks",
        "evaluate_masks",
        "train_detector",
        "apply_detector",
        "load_benchmark",
        "export_coco",
    ):
        assert f"@promerge/promerge/{name}" in operators
    listed = execute(
        bare,
        """
        import asyncio, sys
        from fiftyone.operators.executor import resolve_type
        from fiftyone.operators.permissions import PermissionedOperatorRegistry
        before = set(sys.modules)
        panels = [panel.uri for panel in foo.list_operators(type="panel")]
        dataset = fo.Dataset()
        async def open_form():
            registry = await PermissionedOperatorRegistry.from_exec_request(None, dataset_ids=[])
            return await resolve_type(registry, URI, {
                "operator_uri": URI, "dataset_name": dataset.name, "params": {},
                "view": dataset.view()._serialize(), "target": "inputs",
            })
        form = asyncio.run(open_form()).to_json()["type"]["properties"]
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        print()
        print(json.dumps({"panels": panels, "form": [*form], "loaded": sorted(loaded)}))
        """,
    )
    assert "@promerge/promerge/promerge_inspector" in listed["panels"]
    assert "backbone" in listed["form"] and "fiftyone_promerge" in listed["loaded"]
    assert HEAVY.isdisjoint(listed["loaded"]), "none of these is needed yet"


def test_operator_makes_masks_with_workers(bare, plugin, photos):
    result = execute(
        bare,
        """
        dataset = fo.load_dataset("photos")
        done = foo.execute_operator(URI, dataset=dataset, params=params("now"))
        print()
        print(json.dumps({"masks": dataset.count("now.detections"), **done.result}))
        """,
    )
    assert result["images"] == 3
    assert result["masks"] >= 3


@pytest.mark.parametrize("monitor", [[], ["-m", "--monitor-interval", "1"]])
def test_delegated_run_makes_the_same_masks(bare, plugin, photos, monitor):
    field = "monitored" if monitor else "delegated"
    queued = execute(
        bare,
        f"""
        dataset = fo.load_dataset("photos")
        done = foo.execute_operator(
            URI, dataset=dataset, params=params({field!r}), request_delegation=True
        )
        print()
        print(json.dumps(str(done.result["id"])))
        """,
    )
    with (bare.home / f"{field}.log").open("w") as log:
        launch = [bare.python, "-c", CLI, "delegated", "launch", *monitor]
        service = subprocess.Popen(
            launch, env=bare.settings, cwd=bare.home, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        state = wait_for(bare, queued)
    finally:
        service.terminate()
        service.wait()
    assert state["run_state"] == "completed", state
    assert state["masks"][0] == state["masks"][1] >= 3
    assert state["progress"] > 0


def wait_for(bare, operation):
    """How a delegated operation ended."""
    return execute(
        bare,
        f"""
        import time
        service = DelegatedOperationService()
        for _ in range(600):
            found = service._repo.get(__import__("bson").ObjectId({operation!r}))
            if found.run_state in ("completed", "failed"):
                break
            time.sleep(0.2)
        dataset = fo.load_dataset("photos")
        fields = ("now", found.context.request_params["params"]["label_field"])
        masks = [
            dataset.count(f"{{f}}.detections") if dataset.has_field(f) else -1 for f in fields
        ]
        print()
        print(json.dumps({{
            "run_state": found.run_state, "masks": masks, "result": str(found.result),
            "progress": found.status.progress if found.status else 0,
        }}))
        """,
    )


def test_zoo_model_makes_masks_with_workers(bare, url, photos):
    result = execute(
        bare,
        f"""
        import fiftyone.zoo as foz
        foz.register_zoo_model_source({url!r})
        names = [name for name in foz.list_zoo_models() if "promerge" in name or "maskcut" in name]
        model = foz.load_zoo_model("promerge-embedded", image_size=240)
        dataset = fo.load_dataset("photos")
        dataset.apply_model(model, label_field="zoo", batch_size=2, num_workers=2)
        print()
        print(json.dumps({{"names": sorted(names), "masks": dataset.count("zoo.detections")}}))
        """,
    )
    assert result["names"] == [
        "maskcut-dino-vitb8",
        "promerge-dino-vitb8",
        "promerge-dino-vits8",
        "promerge-embedded",
    ]
    assert result["masks"] >= 3
