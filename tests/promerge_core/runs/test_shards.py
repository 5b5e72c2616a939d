"""Shards: what is written is read, exactly once, by us and by any reader of Parquet."""

from __future__ import annotations

import json
import multiprocessing
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pyarrow.parquet as pq
import pytest

from promerge_core.runs.coco_json import summarise, write_coco
from promerge_core.runs.shards import ShardFolder
from promerge_core.runs.sources import RunError

RUN = {"method": "promerge", "shard_size": 3}


@pytest.fixture(params=["local", "url"])
def location(request, tmp_path):
    """A folder that is not there yet, on disk and in an object store of fsspec's."""
    return str(tmp_path / "shards") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def fill(location, rows, leave_out=()):
    folder = ShardFolder(location)
    folder.begin(RUN, "/photos", len(rows))
    for number in range(3):
        if number not in leave_out:
            folder.write(number, rows[3 * number : 3 * number + 3])
    return folder


def test_rows_come_back_as_they_were_written(location, rows):
    folder = fill(location, rows)
    assert folder.missing() == []
    assert list(folder.rows()) == rows
    assert list(ShardFolder(location).rows()) == rows


def test_without_masks_the_counts_are_the_same(location, rows):
    folder = fill(location, rows)
    counted = list(folder.rows(with_masks=False))
    assert summarise(counted) == summarise(rows)
    assert "segmentation" not in str(counted)


def test_any_reader_of_parquet_finds_one_row_an_image(tmp_path, rows):
    fill(str(tmp_path / "shards"), rows)
    table = pq.read_table(tmp_path / "shards" / "shard-000001.parquet")
    assert table.column("file_name").to_pylist() == [r["file_name"] for r in rows[3:6]]
    first = table.column("masks")[0].as_py()[0]
    assert first["segmentation"] == rows[3]["masks"][0]["segmentation"]
    assert first["area"] == rows[3]["masks"][0]["area"]
    assert table.column("skipped").to_pylist() == [None, "words.jpg: not an image", None]


def test_the_index_says_what_each_shard_holds(location, rows):
    folder = fill(location, rows)
    assert folder.finish() == summarise(rows)
    with fsspec.open(f"{location}/index.json") as file:
        index = json.load(file)
    assert [shard["file"] for shard in index["shards"]] == [
        f"shard-00000{number}.parquet" for number in range(3)
    ]
    assert [shard["images"] for shard in index["shards"]] == [3, 2, 1]
    assert [shard["skipped"] for shard in index["shards"]] == [0, 1, 0]
    assert sum(shard["masks"] for shard in index["shards"]) == index["summary"]["masks"]
    assert index["shards"][1]["first"] == rows[3]["file_name"]
    assert index["shards"][1]["last"] == rows[5]["file_name"]


def test_a_shard_written_twice_is_there_once(location, rows):
    folder = fill(location, rows)
    folder.write(1, rows[3:6])
    assert list(folder.rows()) == rows


def test_what_is_missing_is_known_from_what_is_there(location, rows):
    folder = fill(location, rows, leave_out=[1])
    assert folder.missing() == [1]
    for use in (folder.finish, lambda: list(folder.rows())):
        with pytest.raises(RunError, match="lacks 1 of its 3 shards; the command that began it"):
            use()
    folder.write(1, rows[3:6])
    assert folder.finish() == summarise(rows)


def test_a_shard_removed_later_is_missing_in_spite_of_the_index(tmp_path, rows):
    folder = fill(str(tmp_path / "shards"), rows)
    folder.finish()
    (tmp_path / "shards" / "shard-000002.parquet").unlink()
    folder.begin(RUN, "/photos", len(rows))
    assert folder.missing() == [2]
    folder.write(2, rows[6:])
    assert folder.finish() == summarise(rows)


def write_until_killed(location, rows):
    folder = ShardFolder(location)
    while True:
        folder.write(0, rows[:3])


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.1])
def test_a_writer_that_is_killed_leaves_no_half_of_a_shard(tmp_path, rows, seconds):
    location = str(tmp_path / "shards")
    folder = fill(location, rows, leave_out=[0])
    writer = multiprocessing.get_context("fork").Process(
        target=write_until_killed, args=(location, rows)
    )
    writer.start()
    writer.join(seconds)
    writer.kill()
    writer.join()
    if folder.missing():
        folder.write(0, rows[:3])
    assert list(folder.rows()) == rows
    folder.finish()
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "index.json",
        "run.json",
        *(f"shard-00000{number}.parquet" for number in range(3)),
    ]


def test_another_run_in_the_same_folder_is_refused(location, rows):
    fill(location, rows)
    with pytest.raises(RunError, match="made from other images or with other settings; choose"):
        ShardFolder(location).begin({**RUN, "method": "maskcut"}, "/photos", len(rows))
    assert list(ShardFolder(location).rows()) == rows


def test_two_runs_that_begin_at_once_never_mix(location, rows, monkeypatch):
    first, second = ShardFolder(location), ShardFolder(location)
    # The second looks before the first has begun.
    monkeypatch.setattr(second, "_known_run", lambda: None)
    first.begin(RUN, "/photos", len(rows))
    second.begin({**RUN, "method": "maskcut"}, "/photos", len(rows))
    monkeypatch.undo()
    for use in (lambda: first.write(1, rows[3:6]), first.finish):
        with pytest.raises(RunError, match=r"another run began at .*; choose another folder"):
            use()
    assert second.missing() == [0, 1, 2]
    for number in second.missing():
        second.write(number, rows[3 * number : 3 * number + 3])
    assert second.finish() == summarise(rows)


def test_the_same_run_twice_at_once_ends_twice(location, rows):
    first, second = fill(location, rows), fill(location, rows)
    assert first.finish() == second.finish() == summarise(rows)


def test_a_run_whose_folder_is_overwritten_meanwhile_stops(location, rows):
    folder = fill(location, rows, leave_out=[2])
    ShardFolder(location).discard()
    with pytest.raises(RunError, match=r"holds no shards: there is no run\.json"):
        folder.write(2, rows[6:])


def test_images_that_have_moved_are_the_same_run(location, rows):
    folder = fill(location, rows)
    folder.begin(RUN, "s3://bucket/photos", len(rows))
    assert folder.missing() == []
    assert folder.read_run()["root"] == "s3://bucket/photos"


@pytest.mark.parametrize("name", ["run.json", "index.json"])
def test_files_of_a_person_in_the_folder_stay(tmp_path, rows, name):
    (tmp_path / name).write_text('{"recipe": "mine"}')
    (tmp_path / "_drafts").mkdir()
    (tmp_path / "_drafts" / "letter.txt").write_text("mine")
    folder = ShardFolder(str(tmp_path))
    with pytest.raises(RunError, match=rf"{name} describes no shards: .* choose another folder"):
        folder.begin(RUN, "/photos", len(rows))
    if name == "run.json":
        with pytest.raises(RunError, match="describes no shards"):
            folder.discard()
    assert (tmp_path / name).read_text() == '{"recipe": "mine"}'
    (tmp_path / name).unlink()
    fill(str(tmp_path), rows).finish()
    assert (tmp_path / "_drafts" / "letter.txt").read_text() == "mine"


def test_shards_whose_description_is_gone_are_not_taken_for_this_run_s(location, rows):
    folder = fill(location, rows, leave_out=[1, 2])
    filesystem, path = fsspec.url_to_fs(location)
    filesystem.rm(f"{path}/run.json")
    with pytest.raises(RunError, match=r"holds shard-000000.parquet and no run.json"):
        folder.begin(RUN, "/photos", len(rows))
    folder.discard()
    folder.begin(RUN, "/photos", len(rows))
    assert folder.missing() == [0, 1, 2]


def test_discarding_removes_our_files_and_no_others(tmp_path, rows):
    folder = fill(str(tmp_path), rows)
    folder.finish()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "shard.parquet").write_text("mine too")
    folder.discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "shard.parquet"]
    folder.begin({**RUN, "method": "maskcut"}, "/photos", len(rows))


def test_a_folder_without_a_run_is_named(location):
    with pytest.raises(RunError, match=r"holds no shards: there is no run\.json"):
        ShardFolder(location).missing()


def test_the_coco_json_of_shards_is_the_one_of_their_rows(tmp_path, rows):
    folder = fill(str(tmp_path / "shards"), rows)
    write_coco(tmp_path / "a.json", RUN, folder.rows)
    write_coco(tmp_path / "b.json", RUN, lambda: rows)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert "facts" not in (tmp_path / "a.json").read_text()


def test_a_second_run_on_a_local_folder_is_refused(tmp_path):
    folder = ShardFolder(str(tmp_path / "new" / "shards"))
    holder = f"process {os.getpid()} "
    with (
        folder.hold(),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RunError, match=rf"run\.json is being written by {holder}"),
    ):
        pool.submit(hold, folder.location).result()
    hold(folder.location)
    assert list((tmp_path / "new" / "shards").iterdir()) == []


def hold(location):
    with ShardFolder(location).hold():
        pass


def test_a_url_cannot_be_locked(tmp_path):
    url = f"file://{tmp_path}"
    with ShardFolder(url).hold():
        hold(url)


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "shards").write_text("words")
    with pytest.raises(RunError, match="shards cannot be written: File exists; name another"):
        hold(str(tmp_path / "shards"))


def test_a_run_of_an_earlier_version_is_continued_until_it_is_complete(location, rows):
    folder = fill(location, rows)
    folder.begin({**RUN, "files": "abc"}, "/photos", len(rows))
    assert folder.read_run()["run"] == {**RUN, "files": "abc"}
    with pytest.raises(RunError, match="files of the same names that lie elsewhere or have chang"):
        folder.begin({**RUN, "files": "other"}, "/photos", len(rows))


def test_complete_shards_of_an_earlier_version_may_be_stale_and_stay(location, rows):
    folder = fill(location, rows)
    folder.finish()
    with pytest.raises(RunError, match=r"by an earlier version, .*choose another folder"):
        folder.begin({**RUN, "files": "abc"}, "/photos", len(rows))
    assert list(folder.rows()) == rows
