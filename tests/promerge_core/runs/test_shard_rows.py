"""A damaged row of a shard is refused by the shard's name."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from promerge_core.masks.rle import encode_rle
from promerge_core.runs.shard_rows import is_run, read_row
from promerge_core.runs.shards import SCHEMA, ShardFolder
from promerge_core.runs.sources import RunError


@pytest.fixture
def stored():
    """A row as Arrow gives it."""
    import numpy as np

    mask = np.zeros((1, 5, 7), bool)
    mask[0, 1:3, 1] = True
    found = {"segmentation": encode_rle(mask)[0], "bbox": [1, 1, 1, 2], "area": 2, "score": 0.5}
    row = {"id": 3, "file_name": "3.png", "width": 7, "height": 5, "reason": None, "skipped": None}
    row["run"] = None
    return {**row, "masks": [{**found, "facts": [("votes", 3.0)]}]}


def test_a_whole_row_is_read(stored):
    assert read_row(stored, "s")["masks"] == [{**stored["masks"][0], "facts": {"votes": 3.0}}]
    assert read_row({**stored, "masks": 2}, "s")["masks"] == [None, None]
    skipped = {**stored, "width": None, "masks": None, "skipped": "no image"}
    assert read_row(skipped, "s") == {"id": 3, "file_name": "3.png", "skipped": "no image"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, "the row of '3.png' has no id"),
        ({"file_name": None}, "the row of None has no id or no file_name"),
        ({"width": None}, "no width"),
        ({"height": 0}, "no height"),
        ({"masks": None}, "no masks"),
        ({"width": 10**5, "height": 10**5}, "more pixels than any image"),
        ({"reason": "whim"}, "a reason that no method gives"),
        ({"masks": [None]}, "a mask that is not whole"),
        ({"height": 6}, "a mask of another size"),
    ],
)
def test_a_row_that_is_not_whole_is_refused(stored, changes, message):
    with pytest.raises(RunError, match=f"^s.parquet is damaged, .*{message}.*; delete it, and the"):
        read_row({**stored, **changes}, "s.parquet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmentation": None}, "not whole"),
        ({"segmentation": {"size": [5, 7], "counts": None}}, "no RLE"),
        ({"segmentation": {"size": [5, 7], "counts": "xxx"}}, "no RLE"),
        ({"segmentation": {"size": [5, None], "counts": "62k0"}}, "no RLE"),
        ({"bbox": [1, 1, 1, math.nan]}, "bbox or area is not its own"),
        ({"bbox": [1, 1, 1, 3]}, "bbox or area is not its own"),
        ({"area": 3}, "bbox or area is not its own"),
        ({"score": math.nan}, "not known ones and finite"),
        ({"score": None}, "not whole"),
        ({"facts": None}, "not whole"),
        ({"facts": [("votes", None)]}, "not known ones and finite"),
        ({"facts": [("a.b", 1.0)]}, "not known ones and finite"),
        ({"facts": [("_id", 1.0)]}, "not known ones and finite"),
    ],
)
def test_a_mask_that_is_not_whole_is_refused(stored, changes, message):
    stored["masks"][0] |= changes
    with pytest.raises(RunError, match=message):
        read_row(copy.deepcopy(stored), "s.parquet")


@pytest.fixture
def shard(tmp_path, stored):
    """The second shard of a run of four images."""
    folder = ShardFolder(str(tmp_path))
    folder.begin({"method": "promerge", "shard_size": 2}, "/photos", 4)
    for number in range(2):
        folder.write(number, rows_of(stored, number))
    return tmp_path / "shard-000001.parquet"


def rows_of(stored, number):
    """The two rows of a shard."""
    return [{**stored, "id": 2 * number + place} for place in range(2)]


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    path.write_bytes(bytes(b ^ 255 * (60 < i < 120) for i, b in enumerate(path.read_bytes())))


def retype(path):
    table = pq.read_table(path).drop_columns(["masks"])
    pq.write_table(table.append_column("masks", pa.array([1, 2])), path)


def nullify(path):
    rows = [{**row, "width": None} for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


@pytest.mark.parametrize("damage", [cut, flip, retype, nullify, lambda path: path.write_bytes(b"")])
def test_a_damaged_file_is_named_and_made_again(shard, stored, damage):
    folder = ShardFolder(str(shard.parent))
    whole = list(folder.rows())
    damage(shard)
    for use in (lambda: list(folder.rows()), folder.finish):
        with pytest.raises(RunError, match=rf"{shard} is damaged, .*; delete it, and the") as error:
            use()
        assert "\n" not in str(error.value)
    shard.unlink()
    assert folder.missing() == [1]
    folder.write(1, rows_of(stored, 1))
    assert list(folder.rows()) == whole


def test_a_shard_of_another_run_is_never_read(shard, stored, tmp_path_factory):
    other = ShardFolder(str(tmp_path_factory.mktemp("other")))
    other.begin({"method": "maskcut", "shard_size": 2}, "/photos", 4)
    other.write(1, rows_of(stored, 1))
    shard.write_bytes((Path(other.location) / shard.name).read_bytes())
    folder = ShardFolder(str(shard.parent))
    for use in (lambda: list(folder.rows()), folder.finish):
        with pytest.raises(RunError, match=rf"{shard} is another run's; delete it, and the"):
            use()
    assert shard.exists()


def test_an_image_that_comes_twice_is_noticed(shard, stored):
    folder = ShardFolder(str(shard.parent))
    folder.write(1, rows_of(stored, 0))
    with pytest.raises(RunError, match=rf"{shard} is damaged, the ids of its images do not"):
        list(folder.rows())


def test_rows_that_are_lost_are_noticed(shard):
    pq.write_table(pq.read_table(shard).slice(0, 1), shard)
    folder = ShardFolder(str(shard.parent))
    for use in (lambda: list(folder.rows()), folder.finish):
        with pytest.raises(RunError, match="has 3 rows for 4 images; delete"):
            use()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[" * 100_000,
        "[]",
        "5",
        '{"run": [], "root": "", "images": 1}',
        '{"run": {"shard_size": 0}}',
    ],
)
def test_a_damaged_description_is_named(shard, content):
    (shard.parent / "run.json").write_text(content)
    folder = ShardFolder(str(shard.parent))
    for use in (folder.read_run, folder.missing, lambda: folder.begin({}, "", 1)):
        with pytest.raises(RunError, match=r"run\.json describes no shards: .*; choose another"):
            use()


def test_what_begins_a_run_describes_it(shard):
    assert is_run(json.loads((shard.parent / "run.json").read_text()))
