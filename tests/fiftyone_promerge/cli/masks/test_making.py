"""Where the masks of `promerge generate` and `promerge predict` go."""

from __future__ import annotations

from pathlib import Path


def test_a_dataset_is_written_to_by_its_own_name_alone(promerge, photos: Path, dataset_name: str):
    import fiftyone as fo

    dataset = fo.Dataset(dataset_name)
    dataset.add_images([str(photos / "0.png")])
    result = promerge("generate", dataset_name, "--dataset", "other", *promerge.FAST)
    assert result.exit_code == 1
    assert f"{dataset_name} is a FiftyOne dataset itself" in promerge.message(result)
    assert not fo.dataset_exists("other")


def test_a_folder_never_joins_a_dataset_of_its_name_with_other_images(
    promerge, photos: Path, dataset_name: str
):
    import fiftyone as fo

    folder = photos.rename(photos.with_name(dataset_name))
    dataset = fo.Dataset(dataset_name)
    dataset.add_images([str(folder.parent / "elsewhere.png")])
    result = promerge("generate", folder, *promerge.FAST)
    assert result.exit_code == 1
    assert "already, with other images" in promerge.message(result)
    assert len(dataset) == 1
