"""Which files a run may write."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from promerge_core.runs.coco_json import write_json
from promerge_core.runs.outputs import check_new_file, check_output
from promerge_core.runs.sources import RunError

THEIRS = {
    "empty": "",
    "words": "hello\n",
    "no run": '{"info": {"description": "COCO 2017 Dataset"}, "images": [], "annotations": []}',
    "a run of others": '{"info": {"run": {}}, "images": [], "annotations": []}',
    "a list": "[]",
    "no info": '{"images": [], "annotations": [{"id": 1, "image_id": 1}]}',
    "info is text": '{"info": "words", "images": [], "annotations": []}',
}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "masks.json"


def ours(path, **info):
    write_json(path, {"run": {"method": "promerge"}, **info}, [], [])


def test_a_new_file_may_be_written_and_is_not_made_yet(output):
    check_output(output)
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("content", THEIRS.values(), ids=THEIRS)
def test_a_file_of_someone_else_needs_overwrite(output, content):
    output.write_text(content)
    with pytest.raises(RunError, match="no run of fiftyone-promerge wrote it; choose another"):
        check_output(output)
    check_output(output, overwrite=True)
    assert output.read_text() == content


def test_a_file_of_ours_without_a_run_needs_overwrite(output):
    write_json(output, {"dataset": "photos", "field": "ground_truth"}, [], [])
    with pytest.raises(RunError, match="no run of fiftyone-promerge wrote it"):
        check_output(output)


def test_a_run_continues_its_own_file_alone(output):
    ours(output, dataset="photos", field="masks")
    check_output(output)
    check_output(output, expected={"dataset": "photos", "field": "masks"})
    with pytest.raises(RunError, match="another run wrote it; choose another"):
        check_output(output, expected={"dataset": "photos", "field": "other"})
    check_output(output, overwrite=True, expected={"dataset": "other"})


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["a device", "a FIFO", "a socket", "a folder"])
def test_what_is_no_regular_file_is_refused_unread(tmp_path, monkeypatch, kind, overwrite):
    monkeypatch.chdir(tmp_path)
    path = Path("thing")
    if kind == "a device":
        path = Path("/dev/full")
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        socket.socket(socket.AF_UNIX).bind("thing")
    else:
        path.mkdir()
    link = Path("link")
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(RunError, match=f"is {kind}; name a file"):
            check_output(name, overwrite)


def test_a_link_stands_for_its_file(output, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(output)
    check_output(link)
    output.write_text(json.dumps({"images": []}))
    with pytest.raises(RunError, match="no run of fiftyone-promerge wrote it"):
        check_output(link)
    ours(output)
    check_output(link)


@pytest.mark.parametrize("where", ["no/such/o.json", "file/o.json"])
def test_a_folder_that_is_not_there_is_named(tmp_path, where):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"there is no folder|cannot be written: Not a directory"):
        check_output(tmp_path / where)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_a_file_system_that_takes_no_files_is_told_from_one_that_does():
    with pytest.raises(RunError, match=r"^/proc/o\.json cannot be written: "):
        check_output(Path("/proc/o.json"))


def test_a_link_to_itself_is_refused(tmp_path):
    link = tmp_path / "o.json"
    link.symlink_to(link)
    with pytest.raises(RunError, match="cannot be written: Too many levels of symbolic links"):
        check_output(link)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunError, match="cannot be written: Permission denied"):
            check_output(tmp_path / "o.json")
    finally:
        tmp_path.chmod(0o700)


def test_a_file_of_results_is_new_or_overwritten(output):
    check_new_file(output)
    with pytest.raises(RunError, match="there is no folder"):
        check_new_file(output.parent / "no" / "such")
    check_new_file(output.parent / "no" / "such", makes_folder=True)
    output.write_text("mine")
    with pytest.raises(RunError, match="exists already; choose another file"):
        check_new_file(output)
    check_new_file(output, overwrite=True)
    for other, said in [("/dev/full", "is a device"), (output.parent, "is a folder")]:
        with pytest.raises(RunError, match=said):
            check_new_file(Path(other), overwrite=True)
    assert output.read_text() == "mine"
