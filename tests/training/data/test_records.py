"""Record files: lazy, exact, the same split everywhere."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fiftyone_promerge.training.data.boxes import box_mask
from fiftyone_promerge.training.data.records import (
    Record,
    RecordError,
    RecordFile,
    mask_from_rle,
    write_records,
)
from promerge_core.masks.rle import encode_rle


def a_mask(height=20, width=30, top=2, left=3, size=5, score=0.5):
    array = np.zeros((1, height, width), bool)
    array[0, top : top + size, left : left + size] = True
    return mask_from_rle(encode_rle(array)[0], score)


def some_records(count=20, folder="/images"):
    return [
        Record(f"key{n}", f"{folder}/{n}.jpg", 20, 30, (a_mask(left=n % 20),) * (n % 3))
        for n in range(count)
    ]


def test_records_come_back_as_they_were_in_any_order(tmp_path):
    path = tmp_path / "records.jsonl"
    records = [*some_records(), Record("c", "/c.jpg", 20, 30, (a_mask(),), (a_mask(size=9),))]
    counts = write_records(path, iter(records))
    assert counts == (21, 7, 20, 1, 0)
    file = pickle.loads(pickle.dumps(RecordFile(path)))
    assert list(file) == records
    assert [file[i] for i in (20, 0, 7)] == [records[i] for i in (20, 0, 7)]
    assert file[-1].crowds[0].area == 81
    assert file[0:2] == records[:2]


def test_boxes_are_tight_and_scores_kept(tmp_path):
    mask = a_mask(top=4, left=6, size=3, score=0.25)
    write_records(tmp_path / "r.jsonl", [Record("k", "/k.jpg", 20, 30, (mask,))])
    read = RecordFile(tmp_path / "r.jsonl")[0].masks[0]
    assert (read.bbox, read.area, read.score) == ((6.0, 4.0, 3.0, 3.0), 9, 0.25)


def test_classes_and_boxes_come_back_and_a_mask_of_one_class_is_written_as_ever(tmp_path, records):
    path = tmp_path / "r.jsonl"
    plain, mug = records[0].masks[0], dataclasses.replace(records[0].masks[1], label="mug")
    boxes = (box_mask((1.5, 2.25, 20.0, 20.5), 64, 64, "cat", 0.5),)
    named = dataclasses.replace(records[0], masks=(plain, mug), boxes=boxes)
    counts = write_records(path, [records[0], named])
    assert list(RecordFile(path)) == [records[0], named]
    assert counts.masks == 5
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["masks"][0] == [plain.segmentation["counts"], 1.0]
    assert first.keys() == {"key", "path", "size", "masks", "crowds"}
    assert second["boxes"] == [[1.5, 2.25, 20.0, 20.5, 0.5, "cat"]]


def test_masks_of_area_0_are_left_out_and_counted(tmp_path):
    path = tmp_path / "r.jsonl"
    empty = a_mask(size=0)
    counts = write_records(path, [Record("a", "/a.jpg", 20, 30, (empty, a_mask()))])
    assert (counts.masks, counts.empty_masks) == (1, 1)
    assert [mask.area for mask in RecordFile(path)[0].masks] == [25]


def test_the_split_depends_on_file_names_alone(tmp_path):
    one, two = some_records(), some_records(folder="/elsewhere")[::-1]
    names = []
    for number, records in enumerate((one, two)):
        path = tmp_path / f"{number}.jsonl"
        write_records(path, records)
        file = RecordFile(path)
        split = file.split(0.3, max_validation=100)
        assert len(split.validation) == round(0.3 * 13)
        assert not set(split.train) & set(split.validation)
        assert all(file[int(i)].masks for part in split for i in part)
        names.append({Path(file[int(i)].path).name for i in split.validation})
    assert names[0] == names[1]


def test_a_split_has_at_least_one_and_at_most_so_many_validation_images(tmp_path):
    write_records(tmp_path / "r.jsonl", some_records(30))
    file = RecordFile(tmp_path / "r.jsonl")
    assert len(file.split(0.001, 100).validation) == 1
    assert len(file.split(0.5, 3).validation) == 3


@pytest.mark.parametrize("records", [[], some_records(1), some_records(2), some_records(1) * 5])
def test_fewer_than_two_images_with_masks_is_one_sentence(tmp_path, records):
    write_records(tmp_path / "r.jsonl", records)
    with pytest.raises(RecordError, match="training needs at least two"):
        RecordFile(tmp_path / "r.jsonl").split(0.1, 10)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(RecordError, match="no training records"):
        RecordFile(tmp_path / "none.jsonl")


def test_file_names_that_are_not_text_come_back(tmp_path):
    records = [
        dataclasses.replace(record, path=os.fsdecode(b"/photos/latin\xe9%d.jpg" % number))
        for number, record in enumerate(some_records(3))
    ]
    write_records(tmp_path / "r.jsonl", records)
    assert [record.path for record in RecordFile(tmp_path / "r.jsonl")] == [
        record.path for record in records
    ]


@pytest.mark.parametrize("damage", [b"", b"words", "cut", "other", "objects"])
def test_a_damaged_index_is_one_sentence(tmp_path, damage):
    path = tmp_path / "r.jsonl"
    write_records(path, some_records(3))
    index = tmp_path / "r.index.npy"
    if damage == "cut":
        index.write_bytes(index.read_bytes()[:-5])
    elif damage == "other":
        np.save(index, np.zeros(3))
    elif damage == "objects":
        np.save(index, np.array([{}], dtype=object), allow_pickle=True)
    else:
        index.write_bytes(damage)
    with pytest.raises(RecordError, match=r"the index of .*r\.jsonl is damaged"):
        RecordFile(path)


def test_an_interrupted_write_leaves_no_file(tmp_path):
    def interrupted():
        yield from some_records(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path / "r.jsonl", interrupted())
    assert not (tmp_path / "r.jsonl").exists()


def test_a_full_disk_is_one_sentence(tmp_path):
    script = f"""
import resource, signal
from pathlib import Path
from fiftyone_promerge.training.data.records import Record, RecordError, write_records
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    path = Path({str(tmp_path / "r.jsonl")!r})
    write_records(path, (Record(str(n), "/a.jpg", 9, 9, ()) for n in range(10**6)))
except RecordError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "r.jsonl cannot be written: File too large" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_records(tmp_path):
    script = f"""
import resource, sys
from pathlib import Path
import dataclasses
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_records import some_records
from fiftyone_promerge.training.data.records import RecordFile, write_records
record = some_records(3)[2]
path = Path({str(tmp_path / "r.jsonl")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
long = "x" * 20000
write_records(path, (dataclasses.replace(record, key=long) for n in range(5000)))
for record in RecordFile(path):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, path.stat().st_size // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    grown, written = map(int, done.stdout.split())
    assert written > 90_000 and grown < written / 5, done.stderr


GOOD = {"key": "k", "path": "/k.jpg", "size": [20, 30], "masks": [], "crowds": []}
DAMAGES = {
    "words": b"words",
    "cut": b'{"key": "k", "pa',
    "nothing": b"",
    "a list": b"[]",
    "a number": b"7",
    "deep": b"[" * 100_000,
    "no size": {"size": None},
    "size of text": {"size": ["20", "30"]},
    "size of fractions": {"size": [20.5, 30]},
    "key of a number": {"key": 7},
    "path of null": {"path": None},
    "masks of text": {"masks": "masks"},
    "a mask of three": {"masks": [["0", 1, 2]]},
    "rle that overflows": {"masks": [["ooooooooooooooooo", 0.5]]},
    "rle too short": {"masks": [["01", 0.5]]},
    "rle of null": {"masks": [[None, 0.5]]},
    "rle of a list": {"masks": [[{}, 0.5]]},
    "score of text": {"masks": [["hT2", "1"]]},
    "score nan": {"masks": [["hT2", float("nan")]]},
    "score of infinity": {"crowds": [["hT2", float("inf")]]},
    "huge size": {"size": [2**40, 2**40], "masks": [["hT2", 0.5]]},
}

READ = """
import sys
from pathlib import Path
from fiftyone_promerge.training.data.records import RecordError, RecordFile
for use in (lambda file: file[1], list):
    try:
        use(RecordFile(Path(sys.argv[1])))
    except RecordError as error:
        print(error)
"""


def test_the_record_that_is_damaged_below_is_whole_by_itself(tmp_path):
    path = tmp_path / "records.jsonl"
    write_records(path, some_records(1))
    path.write_text(json.dumps(GOOD) + "\n")
    assert RecordFile(path)[0] == Record("k", "/k.jpg", 20, 30, ())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_one_sentence_and_no_crash(tmp_path, damage):
    path = tmp_path / "records.jsonl"
    write_records(path, some_records(3))
    lines = path.read_bytes().splitlines(keepends=True)
    wrong = damage if isinstance(damage, bytes) else json.dumps({**GOOD, **damage}).encode()
    path.write_bytes(lines[0] + wrong + b"\n")
    done = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    messages = done.stdout.splitlines()
    assert len(messages) == 2
    assert all(one.startswith(f"{path} is damaged: ") and "train again" in one for one in messages)
