"""Damaged shards: each is read and imported, or refused in one sentence; nothing else changes.

They are tried in a process of its own with a memory limit: Arrow and pycocotools are C.
"""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2)
import copy, json, math, shutil, sys
from pathlib import Path
import fiftyone as fo
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import Phase, given, settings, strategies as st
from promerge_core.errors import PromergeError
from promerge_core.masks.rle import encode_rle
from promerge_core.runs.coco_json import write_coco
from promerge_core.runs.shards import SCHEMA, ShardFolder
from fiftyone_promerge.generation.shards import import_shards

ROOT = Path(sys.argv[1])
(ROOT / "photos").mkdir()
MASK = np.zeros((1, 5, 7), bool)
MASK[0, 1:3, 1] = True
RLE = encode_rle(MASK)[0]
FOUND = {"segmentation": RLE, "bbox": [1, 1, 1, 2], "area": 2, "score": 0.5}
FOUND["facts"] = [("votes", 3.0)]
ROW = {"width": 7, "height": 5, "reason": None, "skipped": None, "masks": [FOUND, FOUND]}
ROWS = [{"id": n, "file_name": f"{n}.png", **ROW} for n in range(1, 5)]
RUN = {
    "method": "promerge", "backbone": "embedded", "weights": None, "parameters": {},
    "shard_size": 2,
}
FOLDER = ShardFolder(str(ROOT / "shards"))
FOLDER.begin(RUN, str(ROOT / "photos"), 4)
for number in range(2):
    FOLDER.write(number, ROWS[2 * number : 2 * number + 2])
FOLDER.finish()
WHOLE = {path.name: path.read_bytes() for path in (ROOT / "shards").glob("*.*")}

numbers = st.one_of(
    st.integers(-5, 60), st.floats(-5, 60),
    st.sampled_from([0, 2**31 - 1, -(2**31), math.nan, math.inf, 1e300, None]),
)
texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["", "/etc/passwd", "../x.png", "a\\0b", "1.png", "_id", "mask", "x" * 5000]),
)
counts = st.one_of(
    st.text(st.characters(min_codepoint=40, max_codepoint=115), max_size=30), texts,
    st.integers(0, len(RLE["counts"])).map(lambda n: RLE["counts"][:n]),
    st.just("`oZoo1"),
)
sizes = st.sampled_from([[5, 7], [7, 5], [0, 0], [-5, 7], [40000, 40000], [None, 7], None])
masks = st.fixed_dictionaries({}, optional={
    "segmentation": st.one_of(
        st.none(), st.fixed_dictionaries({"size": sizes, "counts": st.one_of(counts, st.none())})
    ),
    "bbox": st.one_of(st.none(), st.lists(numbers, min_size=4, max_size=4)),
    "area": st.one_of(st.none(), st.integers(-5, 2**62)),
    "score": numbers,
    "facts": st.one_of(st.none(), st.lists(st.tuples(texts, numbers), max_size=3)),
}).map(lambda changes: {**FOUND, **changes})
rows = st.fixed_dictionaries({}, optional={
    "id": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(1, 4)),
    "file_name": st.one_of(st.none(), texts),
    "width": st.one_of(st.none(), st.sampled_from([0, -1, 7, 2**31 - 1])),
    "height": st.one_of(st.none(), st.sampled_from([0, -1, 5, 2**31 - 1])),
    "masks": st.one_of(st.none(), st.lists(st.one_of(st.none(), masks), max_size=3)),
    "reason": st.one_of(texts, st.sampled_from(["no_cut", "all_pruned"])),
    "skipped": st.one_of(st.none(), texts),
})
columns = st.sampled_from([
    pa.array([1, 2]), pa.array(["a", "b"]), pa.array([None, None]), pa.array([[1], [2]]),
    pa.array([b"\\xff", b"\\xfe"]), pa.array([2.5, math.nan]), pa.array([{"a": 1}, {"a": 2}]),
])
jsons = st.recursive(
    st.one_of(numbers, st.text(max_size=5), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def changed_rows(changes, repeat):
    table = [{**copy.deepcopy(row), **change} for row, change in zip(ROWS[2:], changes)]
    return pa.Table.from_pylist(table * repeat, schema=SCHEMA)


def write_rows(path, data):
    changes = data.draw(st.tuples(rows, rows))
    pq.write_table(changed_rows(changes, data.draw(st.sampled_from([1, 1, 1, 2]))), path)


def write_columns(path, data):
    table = pq.read_table(path)
    name = data.draw(st.sampled_from(table.column_names))
    index = table.column_names.index(name)
    table = table.remove_column(index)
    if data.draw(st.booleans()):
        table = table.add_column(index, name, data.draw(columns))
    pq.write_table(table, path)


def write_bytes(path, data):
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    path.write_bytes(bytes(content[:end]))


def write_index(path, data):
    index = path.with_name("index.json")
    whole = json.loads(index.read_text())
    key = data.draw(st.sampled_from([*whole, *whole["summary"], ""]))
    if data.draw(st.booleans()):
        whole = data.draw(jsons)
    elif key in whole["summary"]:
        whole["summary"][key] = data.draw(jsons)
    else:
        whole[key] = data.draw(jsons)
    index.write_text(json.dumps(whole))


def write_run(path, data):
    run = path.with_name("run.json")
    whole = json.loads(run.read_text())
    key = data.draw(st.sampled_from([*whole, *RUN]))
    (whole["run"] if key in RUN else whole)[key] = data.draw(jsons)
    run.write_text(json.dumps(whole))


def remove(path, data):
    path.with_name(data.draw(st.sampled_from(sorted(WHOLE)))).unlink()


damages = st.sampled_from(
    [write_rows, write_rows, write_rows, write_columns, write_bytes, write_bytes, write_index,
     write_run, remove]
)


def attempt(use):
    try:
        return use()
    except PromergeError as error:
        assert "\\n" not in str(error) and len(str(error)) < 2000, error
        return None


def imported():
    dataset = fo.Dataset()
    try:
        summary, _ = import_shards(dataset, "masks", FOLDER)
        assert len(dataset) == summary.images + len(summary.skipped)
        for sample in dataset:
            assert sample.filepath.startswith(str(ROOT / "photos")), sample.filepath
            for label in sample.masks.detections if sample.masks else []:
                assert label.label == "object" and label.mask.dtype == bool
                assert all(map(math.isfinite, [*label.bounding_box, label.confidence]))
    finally:
        dataset.delete()


@settings(
    max_examples=int(sys.argv[2]), deadline=None, derandomize=True, database=None,
    phases=[Phase.generate],
)
@given(st.data())
def check(data):
    for name, content in WHOLE.items():
        (ROOT / "shards" / name).write_bytes(content)
    path = ROOT / "shards" / "shard-000001.parquet"
    data.draw(damages)(path, data)
    damaged = {path.name: path.read_bytes() for path in (ROOT / "shards").glob("*.*")}
    attempt(lambda: write_coco(ROOT / "masks.json", {}, FOLDER.rows))
    attempt(imported)
    after = {path.name: path.read_bytes() for path in (ROOT / "shards").glob("*.*")}
    assert after == damaged
    attempt(lambda: FOLDER.begin(RUN, str(ROOT / "photos"), 4))
    attempt(FOLDER.missing)
    attempt(FOLDER.finish)
    after = {path.name: path.read_bytes() for path in (ROOT / "shards").glob("*.*")}
    written = dict.fromkeys(["run.json", "index.json"], 0)
    assert {**after, **written} == {**damaged, **written}
    shutil.rmtree(ROOT / "shards" / "_promerge-drafts", ignore_errors=True)
    (ROOT / "masks.json").unlink(missing_ok=True)
    assert sorted(path.name for path in ROOT.iterdir()) == ["photos", "shards"]


check()
print("done")
"""


def test_a_damaged_shard_is_read_or_refused(database, tmp_path):
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "200"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.stdout.endswith("done\n"), child.stderr[-4000:]
