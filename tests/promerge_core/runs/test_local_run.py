"""Runs over image files: the COCO json they write, and what stops and resumes them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from promerge_core import ProMerge, ProMergeConfig, load_backbone
from promerge_core.runs.local_run import CocoRun
from promerge_core.runs.sources import RunError, coco_images, find_images

CONFIG = {"image_size": 64, "seed_stride": 2}
SETTINGS = {"backbone": "embedded"}
BATCH = 2

# Runs each of several children to the moment at which it kills itself or cannot write any more.
CHILDREN = """
import json, os, resource, signal, sys
from pathlib import Path
from promerge_core import ProMerge, ProMergeConfig, PromergeError, load_backbone
from promerge_core.runs.local_run import CocoRun
from promerge_core.runs.sources import find_images

images, folder, config, settings, batch, moments = map(json.loads, sys.argv[1:])

def run(output, kind, value):
    calls = []
    def die_at_call(done):
        calls.append(done)
        if kind == "progress" and len(calls) == value:
            os.kill(os.getpid(), signal.SIGKILL)
    def die_at_event(event, args):
        if event == kind and str(args[0]).endswith(value):
            os.kill(os.getpid(), signal.SIGKILL)
    if kind == "bytes":
        resource.setrlimit(resource.RLIMIT_FSIZE, (value, value))
    sys.addaudithook(die_at_event)
    generator = ProMerge(load_backbone("embedded", "cpu"), ProMergeConfig(**config))
    entries = find_images(Path(images))
    try:
        CocoRun(generator, entries, output, settings, batch).run(progress=die_at_call)
    except PromergeError as error:
        return str(error)
    return "done"

for number, (kind, value) in enumerate(moments):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, run(Path(folder, f"{number}.json"), kind, value).encode())
        os._exit(0)
    os.close(writer)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, open(reader, encoding="utf-8").read()]))
"""

MOMENTS = [
    *(("progress", call) for call in (1, 2, 4, 5)),
    ("open", ".json.promerge-draft"),
    ("os.rename", ".json.promerge-draft"),
    ("os.remove", ".json.partial"),
]


@pytest.fixture(scope="module")
def generator():
    return ProMerge(load_backbone("embedded", "cpu"), ProMergeConfig(**CONFIG))


@pytest.fixture(scope="module")
def photos(tmp_path_factory, scene):
    """A folder of seven images in two subfolders and a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(7):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        size = (40 + 10 * number, 70 - 3 * number)
        image = np.full((*size, 3), 90, np.uint8) if number == 3 else scene(*size, seed=number)
        Image.fromarray(image).save(path)
    (folder / "a" / "5.jpg").write_text("These are words.")
    return folder


@pytest.fixture(scope="module")
def entries(photos):
    return find_images(photos)


@pytest.fixture
def broken(tmp_path_factory):
    """The entries of a folder whose one image cannot be read."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "words.jpg").write_text("These are words.")
    return find_images(folder)


@pytest.fixture(scope="module")
def undisturbed(generator, entries, tmp_path_factory):
    """The output of a run that nothing disturbed, and the size of its journal."""
    output = tmp_path_factory.mktemp("out") / "masks.json"
    sizes = []
    journal = output.with_name("masks.json.partial")
    run = CocoRun(generator, entries, output, SETTINGS, BATCH)
    run.run(progress=lambda done: sizes.append(journal.stat().st_size))
    return output, sizes


def start(generator, entries, output, **changes):
    arguments = {"settings": SETTINGS, "batch_size": BATCH, **changes}
    return CocoRun(generator, entries, output, **arguments)


def run_children(photos, folder, moments):
    """Exit code and words of a child for each moment; its files are `<number>.json*`."""
    arguments = [str(photos), str(folder), CONFIG, SETTINGS, BATCH, moments]
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, *map(json.dumps, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# The file ----------------------------------------------------------------------------------------


def test_output_is_read_by_pycocotools_and_its_annotations_are_results(undisturbed, entries):
    coco = COCO(undisturbed[0])
    assert [image["file_name"] for image in coco.dataset["images"]] == [
        entry.file_name for entry in entries if not entry.file_name.endswith("jpg")
    ]
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [annotation["id"] for annotation in annotations] == list(range(1, len(annotations) + 1))
    for annotation in annotations:
        image = coco.imgs[annotation["image_id"]]
        mask = coco.annToMask(annotation)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert mask.shape == (image["height"], image["width"])
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == box
        assert 0 < annotation["score"] <= 1

    evaluation = COCOeval(coco, coco.loadRes(annotations), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_sizes_are_those_of_the_images(undisturbed, photos):
    for row in COCO(undisturbed[0]).dataset["images"]:
        with Image.open(photos / row["file_name"]) as image:
            assert (row["width"], row["height"]) == image.size


def test_broken_images_and_reasons_are_counted(generator, entries, tmp_path):
    run = start(generator, entries, tmp_path / "masks.json")
    done = []
    summary = run.run(progress=done.append)
    assert done == [0, 2, 2, 2, 2]
    assert summary.images == 7
    assert summary.masks == len(json.loads((tmp_path / "masks.json").read_text())["annotations"])
    assert summary.masks > 0
    assert summary.reasons["no_proposals"] == 1
    assert [image.path for image in summary.skipped] == ["a/5.jpg"]
    assert "not an image" in summary.skipped[0].why
    assert summary.seconds.keys() >= {"backbone", "stages"}
    again = run.read_summary()
    summary.seconds = {}
    assert again == summary


def test_nothing_but_the_output_is_left(generator, entries, tmp_path):
    run = start(generator, entries, tmp_path / "masks.json")
    assert not run.is_complete()
    run.run()
    assert names(tmp_path) == ["masks.json"]
    assert run.is_complete()


def test_workers_write_the_same_file(generator, entries, tmp_path, undisturbed):
    start(generator, entries, tmp_path / "masks.json").run(num_workers=2)
    assert (tmp_path / "masks.json").read_bytes() == undisturbed[0].read_bytes()


def test_a_run_without_masks_writes_empty_lists(generator, tmp_path):
    Image.new("RGB", (20, 30)).save(tmp_path / "black.png")
    start(generator, find_images(tmp_path), tmp_path / "masks.json").run()
    coco = COCO(tmp_path / "masks.json")
    assert coco.dataset["annotations"] == []
    assert len(coco.dataset["images"]) == 1


def test_a_run_in_which_no_image_can_be_read_fails_and_leaves_nothing(generator, tmp_path):
    (tmp_path / "words.jpg").write_text("These are words.")
    output = tmp_path / "masks.json"
    with pytest.raises(RunError, match=r"none of the 1 images .*words\.jpg: not an image"):
        start(generator, find_images(tmp_path), output).run()
    assert names(tmp_path) == ["words.jpg"]


def test_a_run_that_fails_in_its_first_batch_leaves_nothing(
    generator, entries, tmp_path, monkeypatch
):
    monkeypatch.setattr(generator, "generate_prepared", lambda images: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        start(generator, entries, tmp_path / "masks.json").run()
    assert names(tmp_path) == []


# Stopped and resumed -----------------------------------------------------------------------------


def test_a_killed_run_goes_on_to_the_same_file(generator, entries, photos, tmp_path, undisturbed):
    ends = run_children(photos, tmp_path, MOMENTS)
    assert [code for code, _ in ends] == [-9] * len(MOMENTS)
    for number, moment in enumerate(MOMENTS):
        output = tmp_path / f"{number}.json"
        assert (tmp_path / f"{number}.json.partial").exists(), moment
        assert output.exists() == (moment[0] == "os.remove"), moment
        run, done = start(generator, entries, output), []
        if not run.is_complete():
            run.run(progress=done.append)
        assert output.read_bytes() == undisturbed[0].read_bytes(), moment
        if moment[0] == "progress":
            assert done[0] == BATCH * (moment[1] - 1)
    assert names(tmp_path) == sorted(f"{number}.json" for number in range(len(MOMENTS)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_FSIZE is Linux's here")
def test_a_full_disk_keeps_what_was_done_and_no_half_of_an_output(
    generator, entries, photos, tmp_path, undisturbed
):
    output, sizes = undisturbed
    assert sizes[-1] < output.stat().st_size
    limits = [0, 40, sizes[0] + 10, sizes[2] + 10, sizes[-1]]
    ends = run_children(photos, tmp_path, [("bytes", limit) for limit in limits])
    for number, (code, words) in enumerate(ends):
        assert code == 0
        assert words.startswith(str(tmp_path / f"{number}.json"))
        assert "cannot be written: File too large; what was done is kept" in words
        assert "\n" not in words
    # What holds no whole batch is not kept.
    assert names(tmp_path) == ["3.json.partial", "4.json.partial"]
    done_before = []
    for number in range(len(limits)):
        done = []
        resumed = tmp_path / f"{number}.json"
        start(generator, entries, resumed).run(progress=done.append)
        assert resumed.read_bytes() == output.read_bytes()
        done_before.append(done[0])
    assert done_before == [0, 0, 0, 4, 8]


def test_a_torn_journal_is_cut_behind_its_last_whole_line(
    generator, entries, tmp_path, undisturbed
):
    run = start(generator, entries, tmp_path / "masks.json")
    journal = tmp_path / "masks.json.partial"
    contents = []
    run.run(progress=lambda done: contents.append(journal.read_bytes()))
    whole = contents[-1]
    for size in np.linspace(0, len(whole), 13).astype(int):
        (tmp_path / "masks.json").unlink()
        journal.write_bytes(whole[:size])
        start(generator, entries, tmp_path / "masks.json").run()
        assert (tmp_path / "masks.json").read_bytes() == undisturbed[0].read_bytes()
        assert not journal.exists()


def stop_after(calls):
    """A progress callback that interrupts the run."""
    seen = []

    def progress(done):
        seen.append(done)
        if len(seen) == calls:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_run_goes_on_in_the_same_process(generator, entries, tmp_path, undisturbed):
    run = start(generator, entries, tmp_path / "masks.json")
    for calls in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            run.run(progress=stop_after(calls))
    done = []
    run.run(progress=done.append)
    assert done[0] == 6
    assert (tmp_path / "masks.json").read_bytes() == undisturbed[0].read_bytes()


CHANGES = {
    "settings": {"settings": {"backbone": "embedded", "weights": "other.pth"}},
    "batch size": {"batch_size": 3},
}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("change", [*CHANGES, "parameters", "images", "order"])
def test_another_run_does_not_touch_an_earlier_ones_files(
    generator, entries, tmp_path, finished, change
):
    output = tmp_path / "masks.json"
    first = start(generator, entries, output)
    if finished:
        first.run()
    else:
        with pytest.raises(KeyboardInterrupt):
            first.run(progress=stop_after(2))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    images = {"images": entries[:-1], "order": [*entries[1:], entries[0]]}.get(change, entries)
    if change == "parameters":
        generator = ProMerge(generator.backbone, ProMergeConfig(**CONFIG, merge_overlap=0.6))
    other = start(generator, images, output, **CHANGES.get(change, {}))
    with pytest.raises(RunError, match="choose another"):
        other.is_complete() or other.run()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    other.discard()
    assert names(tmp_path) == sorted(path.name for path in before if path == output)


def test_an_old_output_stays_until_the_new_one_is_complete(
    generator, entries, tmp_path, undisturbed, broken
):
    output = tmp_path / "masks.json"
    output.write_text("the old one")
    run = start(generator, entries, output)
    run.discard()
    with pytest.raises(KeyboardInterrupt):
        run.run(progress=stop_after(3))
    assert output.read_text() == "the old one"
    unreadable = start(generator, broken, output)
    unreadable.discard()
    with pytest.raises(RunError, match="none of the 1 images could be read"):
        unreadable.run()
    assert output.read_text() == "the old one"
    again = start(generator, entries, output)
    again.discard()
    assert not again.is_complete()
    again.run()
    assert output.read_bytes() == undisturbed[0].read_bytes()
    assert again.is_complete()
    assert names(tmp_path) == ["masks.json"]


@pytest.mark.parametrize("content", ["[1]\n", "my notes", '{"mine": 1}\n'])
def test_what_stands_beside_the_output_and_is_not_ours_stays(
    generator, entries, tmp_path, undisturbed, content
):
    output = tmp_path / "masks.json"
    for end in (".partial", ".draft"):
        output.with_name(output.name + end).write_text(content)
    for step in (start(generator, entries, output).discard, start(generator, entries, output).run):
        with pytest.raises(RunError, match=r"masks\.json\.partial .*choose another output"):
            step()
    shutil.copy(undisturbed[0], output)
    with pytest.raises(RunError, match=r"masks\.json\.partial is no journal of a run"):
        start(generator, entries, output).is_complete()
    output.with_name("masks.json.partial").unlink()
    output.unlink()
    start(generator, entries, output).run()
    assert output.with_name("masks.json.draft").read_text() == content
    assert names(tmp_path) == ["masks.json", "masks.json.draft"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", "hello\n", '{"info": 3,\n', '{"images": []}'])
def test_a_file_of_someone_else_is_not_overwritten(generator, entries, tmp_path, content):
    output = tmp_path / "masks.json"
    output.write_text(content)
    with pytest.raises(RunError, match="made from other images or with other settings"):
        start(generator, entries, output).is_complete()
    assert output.read_text() == content


@pytest.mark.parametrize("content", ["hello\n", "[1]\n", "\x00\n"])
def test_a_journal_of_someone_else_is_not_overwritten(generator, entries, tmp_path, content):
    journal = tmp_path / "masks.json.partial"
    journal.write_text(content)
    with pytest.raises(RunError, match="was begun with other images or settings"):
        start(generator, entries, tmp_path / "masks.json").run()
    assert journal.read_text() == content


@pytest.mark.parametrize("where", ["missing/masks.json", "file/masks.json", "/proc/masks.json"])
def test_an_output_that_cannot_be_written_is_named(generator, entries, tmp_path, where):
    (tmp_path / "file").write_text("")
    output = tmp_path / where
    if not output.is_relative_to(tmp_path) and not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    with pytest.raises(RunError, match=rf"{output}.* cannot be written") as error:
        start(generator, entries, output).run()
    assert "\n" not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(generator, entries, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunError, match="cannot be written: Permission denied"):
            start(generator, entries, tmp_path / "masks.json").run()
    finally:
        tmp_path.chmod(0o700)
    assert names(tmp_path) == []


# Two runs, other files ---------------------------------------------------------------------------

SLOW = """
import json, sys, time
from pathlib import Path
from promerge_core import ProMerge, ProMergeConfig, load_backbone
from promerge_core.runs.local_run import CocoRun
from promerge_core.runs.sources import find_images

images, output, config, settings, batch, workers = map(json.loads, sys.argv[1:])

def stop(done, calls=[]):
    calls.append(done)
    if len(calls) == 3:
        print("two batches are done", flush=True)
        time.sleep(600)

generator = ProMerge(load_backbone("embedded", "cpu"), ProMergeConfig(**config))
run = CocoRun(generator, find_images(Path(images)), Path(output), settings, batch)
run.run(workers, stop)
"""


@pytest.fixture
def slow_run(photos, start_program):
    """Starts a process whose run stands still after two batches."""

    def begin(output, workers=0):
        arguments = [str(photos), str(output), CONFIG, SETTINGS, BATCH, workers]
        return start_program(SLOW, *map(json.dumps, arguments))

    return begin


def test_a_second_run_on_an_output_is_refused_and_changes_nothing(
    generator, entries, tmp_path, slow_run
):
    process = slow_run(tmp_path / "masks.json")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "link.json").symlink_to("masks.json")
    for output in (tmp_path / "masks.json", tmp_path / "link.json"):
        run = start(generator, entries, output)
        for step in (run.run, run.discard):
            with pytest.raises(RunError, match=f"is being written by process {process.pid} "):
                step()
    (tmp_path / "link.json").unlink()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("workers", [0, 1])
def test_the_lock_of_a_killed_run_is_taken_over_while_its_readers_still_end(
    generator, entries, tmp_path, undisturbed, slow_run, workers
):
    output = tmp_path / "masks.json"
    process = slow_run(output, workers)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    done = []
    start(generator, entries, output).run(progress=done.append)
    assert done[0] == 2 * BATCH
    assert output.read_bytes() == undisturbed[0].read_bytes()
    assert names(tmp_path) == ["masks.json"]


def interrupt(generator, entries, output, calls=3):
    with pytest.raises(KeyboardInterrupt):
        start(generator, entries, output).run(progress=stop_after(calls))
    return output.with_name(output.name + ".partial")


def twice(lines):
    return [line for line in lines for _ in range(2)]


@pytest.mark.parametrize(
    ("mix", "kept"),
    [
        (twice, 2),
        (lambda lines: [lines[1], lines[0]], 0),
        (lambda lines: [lines[0], "{}\n"], 2),
        (lambda lines: [lines[0], "3\n", lines[1]], 2),
        (lambda lines: [lines[0], lines[1].replace('"masks"', '"mask"')], 2),
        (lambda lines: [lines[0], lines[1].replace('"width": ', '"width": 9')], 2),
        (lambda lines: [lines[0], lines[1].replace('"score": ', '"score": NaN, "x": ')], 2),
        (lambda lines: [lines[0], "[" * 100_000 + "\n", lines[1]], 2),
        (lambda lines: [*lines, "\x00" * 50], 4),
    ],
    ids=[
        *("two runs", "another order", "no rows", "a number"),
        *("no masks", "another width", "no score", "deep", "zeros"),
    ],
)
def test_a_journal_is_cut_before_what_is_not_the_next_batch(
    generator, entries, tmp_path, undisturbed, mix, kept
):
    output = tmp_path / "masks.json"
    journal = interrupt(generator, entries, output)
    header, *lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(header + "".join(mix(lines)))
    done = []
    start(generator, entries, output).run(progress=done.append)
    assert done[0] == kept
    assert output.read_bytes() == undisturbed[0].read_bytes()


def test_a_file_that_comes_meanwhile_is_not_replaced(generator, entries, tmp_path, undisturbed):
    output = tmp_path / "masks.json"
    run = start(generator, entries, output)
    with pytest.raises(RunError, match=r"masks\.json exists and was made from other images"):
        run.run(progress=lambda done: output.write_text("words"))
    assert output.read_text() == "words"
    output.unlink()
    run.run()
    assert output.read_bytes() == undisturbed[0].read_bytes()


def test_a_complete_run_is_not_done_again(generator, entries, tmp_path, monkeypatch):
    run = start(generator, entries, tmp_path / "masks.json")
    summary = run.run()
    monkeypatch.setattr(generator, "generate_prepared", lambda images: 1 / 0)
    summary.seconds = {}
    assert run.run() == summary


def change_a_photo(photos):
    os.utime(photos / "b" / "1.png", ns=(1, 1))
    return photos


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("change", [change_a_photo, lambda photos: photos.rename("elsewhere")])
def test_changed_or_moved_images_are_another_run(
    generator, photos, tmp_path, monkeypatch, finished, change
):
    monkeypatch.chdir(tmp_path)
    copied = Path(shutil.copytree(photos, tmp_path / "copied"))
    output = tmp_path / "masks.json"
    first = start(generator, find_images(copied), output)
    if finished:
        first.run()
    else:
        interrupt(generator, find_images(copied), output)
    other = start(generator, find_images(change(copied)), output)
    with pytest.raises(RunError, match="files of the same names that lie elsewhere or have change"):
        other.is_complete() or other.run()


def as_earlier_versions(header):
    del header["files"]
    return header


def test_a_journal_of_an_earlier_version_is_continued(generator, entries, tmp_path, undisturbed):
    output = tmp_path / "masks.json"
    journal = interrupt(generator, entries, output)
    header, rest = journal.read_text().split("\n", 1)
    journal.write_text(json.dumps(as_earlier_versions(json.loads(header))) + "\n" + rest)
    interrupt(generator, entries, output, calls=2)
    done = []
    start(generator, entries, output).run(progress=done.append)
    assert done[0] == 3 * BATCH
    assert output.read_bytes() == undisturbed[0].read_bytes()


def test_an_output_of_an_earlier_version_may_be_stale_and_stays(
    generator, entries, tmp_path, undisturbed
):
    content = json.loads(undisturbed[0].read_text())
    as_earlier_versions(content["info"]["run"])
    output = tmp_path / "masks.json"
    output.write_text(json.dumps(content))
    run = start(generator, entries, output)
    with pytest.raises(RunError, match=r"by an earlier version, which did not note .*overwrite it"):
        run.is_complete()
    assert json.loads(output.read_text()) == content
    run.discard()
    run.run()
    assert output.read_bytes() == undisturbed[0].read_bytes()


@pytest.mark.parametrize("name", ["masks.json", "masks.json.partial"])
def test_a_fifo_in_the_way_is_neither_opened_nor_removed(generator, entries, tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(RunError, match=rf"{name} is a FIFO; name a file to write"):
        start(generator, entries, tmp_path / "masks.json")
    assert (tmp_path / name).is_fifo()


def test_the_output_behind_a_link_is_written(generator, entries, tmp_path, undisturbed):
    (tmp_path / "real").mkdir()
    (tmp_path / "masks.json").symlink_to("real/masks.json")
    start(generator, entries, tmp_path / "masks.json").run()
    assert (tmp_path / "masks.json").is_symlink()
    assert names(tmp_path / "real") == ["masks.json"]
    assert (tmp_path / "real" / "masks.json").read_bytes() == undisturbed[0].read_bytes()


# Which images ------------------------------------------------------------------------------------


def test_file_names_of_any_bytes_and_characters_work(generator, tmp_path, scene):
    for name in ("größe 1.png", "a\tb.png", "星.png", 'quote".png', os.fsdecode(b"latin\xe9.png")):
        try:
            Image.fromarray(scene(40, 50)).save(tmp_path / name)
        except OSError:
            pytest.skip("this file system has no such names")
    entries = find_images(tmp_path)
    output = tmp_path / "masks.json"
    start(generator, entries, output).run()
    listed = [image["file_name"] for image in json.loads(output.read_text())["images"]]
    assert listed == [entry.file_name for entry in entries]
    assert len(listed) == 5


def test_images_may_be_links_to_files_elsewhere(listing, tmp_path, generator, scene):
    (tmp_path / "images").mkdir()
    Image.fromarray(scene(40, 50)).save(tmp_path / "elsewhere.png")
    (tmp_path / "images" / "a.png").symlink_to(tmp_path / "elsewhere.png")
    path = listing([{"id": 1, "file_name": "a.png"}])
    entries = coco_images(path, tmp_path / "images")
    assert start(generator, entries, tmp_path / "masks.json").run().images == 1


def test_images_listed_but_not_there_are_counted_as_broken(listing, tmp_path, generator, scene):
    Image.fromarray(scene(40, 50)).save(tmp_path / "a.png")
    rows = [{"id": n, "file_name": name} for n, name in enumerate(["none.png", "a.png", "\0.png"])]
    run = start(generator, coco_images(listing(rows), tmp_path), tmp_path / "out.json")
    summary = run.run()
    assert (summary.images, len(summary.skipped)) == (1, 2)
    assert "no such file" in summary.skipped[0].why


def test_what_cannot_be_opened_is_skipped_and_listed(generator, tmp_path, scene, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Image.fromarray(scene(40, 50)).save("a.png")
    os.mkfifo("fifo.png")
    socket.socket(socket.AF_UNIX).bind("socket.png")
    Path("device.png").symlink_to("/dev/zero")
    Path("itself.png").symlink_to("itself.png")
    Path("nothing.png").symlink_to("nowhere.png")
    summary = start(generator, find_images(folder), tmp_path / "masks.json").run()
    assert summary.images == 1
    reasons = {image.path: image.why.rpartition(": ")[2] for image in summary.skipped}
    assert reasons["fifo.png"] == "a FIFO, not an image"
    assert reasons["socket.png"] == "a socket, not an image"
    assert reasons["device.png"] == "a device, not an image"
    assert reasons["nothing.png"] == "no such file"
    assert "itself.png" in reasons
