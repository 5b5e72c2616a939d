"""The command as a whole: help, and bad input."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from PIL import Image


def test_help_waits_for_no_heavy_package():
    code = (
        "import sys; from fiftyone_promerge.cli import main; main(['generate', '--help'], "
        "standalone_mode=False); print({'torch', 'fiftyone', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "set()"


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
    promerge, arguments: list[str], expected: str, tmp_path: Path, database: str
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
        filled.extend(promerge.FAST)
    result = promerge(*filled)
    assert result.exit_code != 0
    assert expected in promerge.message(result)
    assert "Traceback" not in result.output
    assert not files["json"].exists()


LOADING = """
import sys


class Interrupted:
    def find_spec(name, path=None, target=None):
        if name == "fiftyone_promerge.cli.command":
            raise KeyboardInterrupt


sys.meta_path.insert(0, Interrupted)
from fiftyone_promerge.cli import main

main()
"""


def test_ctrl_c_while_the_command_is_loaded_is_one_sentence():
    ended = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "Error: stopped before anything was done\n"


def test_ctrl_c_is_not_for_the_servers_of_fiftyone():
    # A process that a shell starts in the background ignores Ctrl-C, and so do its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _check_that_only_we_are_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def _check_that_only_we_are_interrupted():
    from fiftyone_promerge.cli.command import _children_spared

    plain = psutil.Popen
    with _children_spared():
        child = psutil.Popen(
            [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(0.3)"],
            stdout=subprocess.PIPE,
        )
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait() == 0
        child.stdout.close()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert psutil.Popen is plain
