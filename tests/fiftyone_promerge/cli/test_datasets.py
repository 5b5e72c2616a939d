"""Datasets of commands: which images they hold, and that none is left where nothing began."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promerge_core.runs.sources import ImageEntry, RunError, find_images

SUFFIXES = (".h5", ".hdf", ".tga", ".eps", ".mpo", ".bufr")


@pytest.fixture
def datasets(database: str):
    """The module under test; FiftyOne may be imported only once the database runs."""
    import fiftyone_promerge.cli.datasets

    return fiftyone_promerge.cli.datasets


@pytest.fixture
def rubbish(photos: Path) -> Path:
    """The five photos among what no dataset can hold."""
    for suffix in SUFFIXES:
        (photos / f"file{suffix}").write_text("no image to FiftyOne")
    (photos / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(photos / "fifo.jpg")
    (photos / os.fsdecode(b"byte\xff.jpg")).write_bytes((photos / "0.png").read_bytes())
    (photos / "[").mkdir()
    (photos / "[" / "bold].jpg").write_text("words")
    return photos


def test_what_no_dataset_can_hold_is_skipped(datasets, rubbish: Path):
    images = datasets.find_images_for_dataset(find_images(rubbish))
    assert len(images.ids) == 6
    why = {Path(one.path).name: one.why for one in images.skipped}
    assert len(why) == len(SUFFIXES) + 3
    assert why["file.h5"].endswith("not an image to FiftyOne: it goes by the suffix, '.h5'")
    assert "symbolic links" in why["loop.jpg"]
    assert "a FIFO" in why["fifo.jpg"]
    assert "not UTF-8" in why[os.fsdecode(b"byte\xff.jpg")]


def test_a_link_with_the_name_of_an_image_is_one(datasets, photos: Path):
    (photos / "1.png").rename(photos / "blob")
    (photos / "1.png").symlink_to("blob")
    images = datasets.find_images_for_dataset([ImageEntry(1, "1.png", photos / "1.png")])
    assert images == ({str(photos / "1.png"): 1}, [])


def test_a_name_with_a_null_byte_is_skipped(datasets, photos: Path):
    entries = [ImageEntry(1, "a", photos / "0.png"), ImageEntry(2, "b", photos / "a\0.png")]
    images = datasets.find_images_for_dataset(entries)
    assert [one.why.rpartition(": ")[2] for one in images.skipped] == ["embedded null byte"]


def test_no_image_at_all_is_an_error(datasets, tmp_path: Path):
    (tmp_path / "a.h5").touch()
    with pytest.raises(RunError, match=r"none of the 1 images could be read; the first: .*a\.h5"):
        datasets.find_images_for_dataset(find_images(tmp_path))


def test_a_new_dataset_goes_where_nothing_came_into_it(datasets, dataset_name: str):
    import fiftyone as fo

    def work(has_label: bool):
        with datasets.old_or_new_dataset(dataset_name, "masks") as dataset:
            if has_label:
                dataset.add_sample(fo.Sample(filepath="a.png", masks=fo.Detections()))
            raise KeyboardInterrupt

    for has_label in (False, True, False):
        with pytest.raises(KeyboardInterrupt):
            work(has_label)
        if not has_label and not fo.dataset_exists(dataset_name):
            continue
        assert len(fo.load_dataset(dataset_name)) == 1


def test_a_name_that_no_dataset_can_have_is_one_sentence(datasets, dataset_name: str):
    import fiftyone as fo

    fo.Dataset(dataset_name)
    for name in ("!!!", "\udcff", dataset_name.replace("-", " ")):
        with (
            pytest.raises(RunError, match="a FiftyOne dataset cannot be called"),
            datasets.old_or_new_dataset(name),
        ):
            pass


# The command -------------------------------------------------------------------------------------


def test_generate_skips_counts_and_lists_what_no_dataset_can_hold(
    promerge, rubbish: Path, dataset_name: str
):
    import fiftyone as fo

    for already in (False, True):
        result = promerge("generate", rubbish, "--dataset", dataset_name, *promerge.FAST)
        assert result.exit_code == 0, result.output
        said = promerge.message(result)
        assert f"skipped images {len(SUFFIXES) + 4}" in " ".join(said.replace("│", " ").split())
        assert f"skipped: {len(SUFFIXES)} images: not an image to FiftyOne: file." in said
        assert said.replace(" ", "").count("[/bold].jpg:notanimage") == 1
        assert ("5 images had masks already" in said) == already
    dataset = fo.load_dataset(dataset_name)
    assert (len(dataset), len(dataset.exists("promerge"))) == (6, 5)


@pytest.mark.parametrize("more", [["--field", "filepath"], ["--field", "tags"], ["--words"]])
def test_what_cannot_begin_leaves_no_dataset(
    promerge, photos: Path, dataset_name: str, more: list[str]
):
    import fiftyone as fo

    if more == ["--words"]:
        more = []
        for path in photos.rglob("*.png"):
            path.write_text("words")
    before = fo.list_datasets()
    result = promerge("generate", photos, "--dataset", dataset_name, *promerge.FAST, *more)
    assert result.exit_code == 1
    assert fo.list_datasets() == before


def test_a_dataset_that_was_there_gets_no_images_where_the_field_is_not_ours(
    promerge, photos: Path, dataset_name: str
):
    import fiftyone as fo

    dataset = fo.Dataset(dataset_name)
    truth = fo.Detections(detections=[fo.Detection(label="cat")])
    dataset.add_sample(fo.Sample(filepath=str(photos / "0.png"), truth=truth))
    command = ["generate", photos, "--dataset", dataset_name, "--field", "truth", *promerge.FAST]
    for more in ([], ["--overwrite"]):
        result = promerge(*command, *more)
        assert result.exit_code == 1
        assert "write to another field, for example 'promerge'" in promerge.message(result)
    dataset.reload()
    assert (len(dataset), dataset.distinct("truth.detections.label")) == (1, ["cat"])
