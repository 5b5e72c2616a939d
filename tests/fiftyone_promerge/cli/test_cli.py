"""The command `promerge`, as a person types it."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from pycocotools.coco import COCO

from fiftyone_promerge.cli.command import main
from promerge_core.registry import METHODS

FAST = ["--backbone", "embedded", "--image-size", "240", "--workers", "0"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def message(result: Result) -> str:
    """What the command printed, without the frame and the line breaks of the error box."""
    return " ".join(result.output.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five images with one disc each, one of them in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    rows, columns = np.mgrid[0:120, 0:160]
    for number in range(5):
        image = np.full((120, 160, 3), 190, np.uint8)
        image[(rows - 60) ** 2 + (columns - 40 - 20 * number) ** 2 < 900] = (30, 60, 150)
        name = f"more/{number}.png" if number == 4 else f"{number}.png"
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.fixture
def dataset_name(database: str) -> Iterator[str]:
    import fiftyone as fo

    name = f"cli-{uuid.uuid4().hex}"
    yield name
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def test_help_lists_every_parameter():
    shown = message(run("generate", "--help"))
    for method in METHODS.values():
        for field in dataclasses.fields(method.config):
            assert "--" + field.name.replace("_", "-") in shown


def test_help_waits_for_no_heavy_package():
    code = (
        "import sys; from fiftyone_promerge.cli import main; main(['generate', '--help'], "
        "standalone_mode=False); print({'torch', 'fiftyone', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "set()"


def test_folder_to_json_without_a_dataset(photos: Path, tmp_path: Path):
    output = tmp_path / "masks.json"
    result = run("generate", photos, "--output", output, *FAST)
    assert result.exit_code == 0, result.output
    coco = COCO(str(output))
    assert [image["file_name"] for image in coco.imgs.values()] == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
        "more/4.png",
    ]
    assert coco.anns
    again = run("generate", photos, "--output", output, *FAST)
    assert "complete already" in message(again)


def test_other_settings_need_overwrite(photos: Path, tmp_path: Path):
    output = tmp_path / "masks.json"
    run("generate", photos, "--output", output, *FAST)
    changed = ["generate", photos, "--output", output, *FAST, "--affinity-threshold", "0.3"]
    assert "overwrite" in message(run(*changed))
    assert run(*changed).exit_code == 1
    assert run(*changed, "--overwrite").exit_code == 0


def test_glob_and_coco_json_as_sources(photos: Path, tmp_path: Path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert run("generate", photos / "**/*.png", "--output", first, *FAST).exit_code == 0
    source = tmp_path / "annotations.json"
    images = [{"id": 70, "file_name": "1.png"}, {"id": 7, "file_name": "more/4.png"}]
    source.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    result = run("generate", source, "--images-dir", photos, "--output", second, *FAST)
    assert result.exit_code == 0, result.output
    assert len(COCO(str(first)).imgs) == 5
    assert list(COCO(str(second)).imgs) == [7, 70]


def test_folder_to_dataset_and_json(photos: Path, tmp_path: Path, dataset_name: str):
    import fiftyone as fo

    output = tmp_path / "masks.json"
    command = ["generate", photos, "--dataset", dataset_name, "--output", output, *FAST]
    result = run(*command)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset(dataset_name)
    assert dataset.persistent
    assert len(dataset.exists("promerge")) == 5
    assert len(COCO(str(output)).anns) == dataset.count("promerge.detections")
    assert "5 images had masks already" in message(run(*command))


def test_existing_dataset_gets_the_baseline_beside(photos: Path, dataset_name: str):
    import fiftyone as fo

    run("generate", photos, "--dataset", dataset_name, *FAST)
    result = run("generate", dataset_name, "--method", "maskcut", *FAST)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset(dataset_name)
    assert len(dataset.exists("maskcut")) == len(dataset.exists("promerge")) == 5
    assert dataset.get_run_info("maskcut").config.method == "maskcut"


def test_a_broken_image_is_listed_and_the_rest_done(photos: Path, tmp_path: Path):
    (photos / "2.png").write_text("no image")
    result = run("generate", photos, "--output", tmp_path / "masks.json", *FAST)
    assert result.exit_code == 0
    assert "2.png: not an image" in message(result)
    assert len(COCO(str(tmp_path / "masks.json")).imgs) == 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["generate", "nowhere"], "no folder, file, glob match or FiftyOne dataset 'nowhere'"),
        (["generate", "{folder}"], "holds no image files"),
        (["generate", "{folder}/*.jpg"], "no file matches"),
        (["generate", "{text}", "--output", "{json}"], "not an image"),
        (["generate", "{broken}", "--output", "{json}"], "no COCO json"),
        (["generate", "{photo}", "--output", "{folder}/no/masks.json"], "there is no folder"),
        (
            ["generate", "{photo}", "--weights", "{text}", "--output", "{json}"],
            "not a readable .pth",
        ),
        (["generate", "{photo}", "--backbone", "resnet"], "unknown backbone"),
        (["generate", "{photo}", "--affinity-threshold", "3"], "not in the range"),
        (["generate", "{photo}", "--affinity-threshold", "nan"], "must be a finite number"),
        (["generate", "{photo}", "--tau", "0.2"], "--tau is no parameter of the method promerge"),
        (["generate", "{photo}", "--field", "a b"], "is no name for a field"),
        (["app", "nowhere"], "no FiftyOne dataset 'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], expected: str, tmp_path: Path, database: str
):
    files = {
        "folder": tmp_path / "folder",
        "text": tmp_path / "text.jpg",
        "broken": tmp_path / "broken.json",
        "photo": tmp_path / "photo.png",
        "json": tmp_path / "masks.json",
    }
    files["folder"].mkdir()
    files["text"].write_text("this is text")
    files["broken"].write_text("{}")
    Image.new("RGB", (64, 48)).save(files["photo"])
    filled = [argument.format(**files) for argument in arguments]
    if filled[0] == "generate" and not {"--backbone", "--weights"} & set(filled):
        filled += FAST
    result = run(*filled)
    assert result.exit_code != 0
    assert expected in message(result)
    assert "Traceback" not in result.output
    assert not files["json"].exists()


def test_demo_segments_photos_and_draws_them(tmp_path: Path, database: str):
    import fiftyone as fo

    picture = tmp_path / "demo.png"
    result = run("demo", "--picture", picture)
    assert result.exit_code == 0, result.output
    dataset = fo.load_dataset("promerge-demo")
    counts = [len(label.detections) for label in dataset.values("promerge_embedded")]
    assert len(counts) == 8
    assert sum(count > 0 for count in counts) >= 6
    drawn = np.asarray(Image.open(picture).convert("RGB"))
    assert drawn.std() > 20
    assert "make app" in result.output
    dataset.delete()


def test_benchmark_writes_its_figures(tmp_path: Path):
    figures = tmp_path / "figures.json"
    options = ["--backbone", "embedded", "--repeats", "1", "--no-peers", "--json", figures]
    result = run("benchmark", *options)
    assert result.exit_code == 0, result.output
    content = json.loads(figures.read_text())
    stages = {row["stage"]: row["median_s"] for row in content["rows"]}
    assert all(seconds > 0 for seconds in stages.values())
    assert {"backbone (keys)", "prompting to merging", "dense CRF, 4 masks"} <= set(stages)
    whole = content["end_to_end"]
    assert whole["images_per_s"] == pytest.approx(1 / stages["end to end, after the resize"])
    assert whole["to_backbone"] > 1
    assert len(whole["masks"]) == 1
    assert content["fiftyone"]["seconds"] > 0
    assert content["fiftyone"]["device_share"] > 0
    assert content["peak_rss_mib"] > 100
    assert "times the backbone alone" in " ".join(result.output.split())


def test_app_serves_the_dataset(photos: Path, dataset_name: str):
    run("generate", photos, "--dataset", dataset_name, *FAST)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from fiftyone_promerge.cli import main; main()"
    command = [sys.executable, "-c", program, "app", dataset_name, "--remote", "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL)
    try:
        assert "FiftyOne" in _page(f"http://127.0.0.1:{port}/", server)
    finally:
        server.terminate()
        server.wait()


def _page(url: str, server: subprocess.Popen[bytes]) -> str:
    for _ in range(240):
        assert server.poll() is None, "the App ended at once"
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                return page.read().decode()
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"no answer from {url}")
