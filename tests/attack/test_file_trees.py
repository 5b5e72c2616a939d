"""Folders of anything: each run ends in a file or one sentence, and changes nothing in the folder.

The command runs in a process with a memory limit, so that no file can take the machine down.
"""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

SECONDS = 60
GIGABYTES = 8

COMMAND = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
import torch
from click.testing import CliRunner
from fiftyone_promerge.cli.command import main
torch.set_num_threads(1)
for line in sys.stdin:
    result = CliRunner().invoke(main, json.loads(line))
    error = result.exception
    raised = None if error is None or isinstance(error, SystemExit) else repr(error)
    print("\\nresult", json.dumps([result.exit_code, result.output, raised]), flush=True)
"""


class Command:
    """The command `promerge` in a process of its own, which takes one call after the other."""

    def __init__(self):
        self._process = None

    def __call__(self, *arguments):
        """Exit code, output and what else was raised."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, str(GIGABYTES * 10**9)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # what is buffered here, select does not see
            )
        self._process.stdin.write(json.dumps([str(one) for one in arguments]).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            if not select.select([self._process.stdout], [], [], SECONDS)[0]:
                self.close()
                raise AssertionError(f"the command hangs: {arguments}")
            line = self._process.stdout.readline()
            assert line, f"the command died with {self._process.wait()}"
            if line.startswith(b"result "):
                return json.loads(line.removeprefix(b"result "))

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(scope="module")
def command():
    command = Command()
    yield command
    command.close()


def encoded(kind, **options):
    content = io.BytesIO()
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(content, kind, **options)
    return content.getvalue()


PNG = encoded("PNG")
CONTENTS = {
    "png": PNG,
    "jpeg": encoded("JPEG"),
    "gif": encoded("GIF"),
    "eps": encoded("EPS"),
    "heic": b"\0\0\0\x1cftypheic" + bytes(50),
    "cut": PNG[:-40],
    "bomb": PNG[:16] + (60_000).to_bytes(4, "big") * 2 + PNG[24:],
    "text": b"words\n" * 30,
    "empty": b"",
    "zeros": bytes(5000),
}
SPECIAL = {
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "endless": lambda path: path.symlink_to("/dev/full"),
    "loop": lambda path: path.symlink_to(path.name),
    "above": lambda path: path.symlink_to(".."),
    "gone": lambda path: path.symlink_to("there is nothing"),
    "other": lambda path: path.symlink_to(__file__),
    "private": lambda path: path.touch(mode=0),
}
NAMES = st.one_of(
    st.sampled_from([b"a", b"-o", b"--help", b"*", b"latin\xe9", b"\n", b"\x1b[31m", b"bold]"]),
    st.binary(min_size=1, max_size=40).map(lambda name: name.translate(None, b"/\0") or b"_"),
    st.just(b"long" * 60),
)
SUFFIXES = st.sampled_from(
    [".png", ".JPG", ".gif", ".eps", ".heic", ".avif", ".h5", ".tga", ".txt", ""]
)
KINDS = st.sampled_from([*CONTENTS, *SPECIAL])
MODES = st.sampled_from([0o644, 0o400, 0o000, 0o4777])
ENTRIES = st.tuples(st.sampled_from(["", "inner", "["]), NAMES, SUFFIXES, KINDS, MODES)
TREES = st.lists(ENTRIES, max_size=8)


def build(root, tree):
    for folder, name, suffix, kind, mode in tree:
        path = root / folder / (os.fsdecode(name) + suffix)
        path.parent.mkdir(exist_ok=True)
        if os.path.lexists(path):
            continue
        if kind in SPECIAL:
            SPECIAL[kind](path)
        else:
            path.write_bytes(CONTENTS[kind])
            path.chmod(mode)


def snapshot(root):
    """All that stands in a folder: names, modes, times, and the content of regular files."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = (
            path.read_bytes() if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) else b""
        )
        found[path] = (status.st_mode, status.st_mtime_ns, status.st_size, content)
    return found


@given(tree=TREES)
@example(tree=[("", b"a", ".png", "png", 0o644), ("", b"b", ".jpg", "fifo", 0o644)])
@example(tree=[("", b"a", ".png", "png", 0o644), ("", b"b", ".jpg", "device", 0o644)])
@example(tree=[("", b"a", ".png", "png", 0o644), ("", b"b", ".png", "bomb", 0o644)])
@example(tree=[("", b"a", ".png", "png", 0o644), ("inner", b"b", "", "above", 0o644)])
@example(tree=[("", b"only", ".heic", "heic", 0o644)])
@settings(
    max_examples=40,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_folder_of_anything_gives_a_file_or_one_sentence(command, tmp_path, tree):
    root, output = tmp_path / "images", tmp_path / "masks.json"
    shutil.rmtree(root, ignore_errors=True)
    output.unlink(missing_ok=True)
    root.mkdir()
    build(root, tree)
    before = snapshot(root)
    fast = ("--backbone", "embedded", "--image-size", 64, "--num-workers", 0)
    code, text, raised = command("generate", root, "--output", output, *fast)
    assert raised is None, raised
    assert "Traceback" not in text
    assert snapshot(root) == before
    if code == 0:
        check_output(json.loads(output.read_text()), root)
    else:
        assert code == 1
        assert "Error" in text
        assert "holds no image files" in flat(text) or "could be read" in flat(text)
    assert {path.name for path in tmp_path.iterdir()} <= {"images", "masks.json"}


def flat(text):
    """What was printed, without the frame and the line breaks of the error box."""
    return " ".join(text.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


def check_output(content, root):
    """Every whole image is in the file, and nothing else has masks."""
    names = {image["id"]: image["file_name"] for image in content["images"]}
    with_masks = {names[mask["image_id"]] for mask in content["annotations"]}
    whole = {CONTENTS[kind] for kind in ("png", "jpeg", "gif")}
    for name in with_masks:
        assert (root / name).is_file()
        assert (root / name).read_bytes() in whole
