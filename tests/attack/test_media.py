"""Datasets of anything but one image per file: each command does its work or says one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image


@pytest.fixture
def photo(tmp_path):
    pixels = np.full((64, 96, 3), 190, np.uint8)
    pixels[16:48, 32:64] = (30, 60, 150)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.fixture
def detections(database):
    import fiftyone as fo

    return lambda: fo.Detections(
        detections=[fo.Detection(label="cup", bounding_box=[0.3, 0.2, 0.3, 0.5], confidence=0.5)]
    )


@pytest.fixture
def grouped(make_dataset, photo, detections):
    import fiftyone as fo

    dataset = make_dataset()
    dataset.add_group_field("pair", default="left")
    pair = fo.Group()
    dataset.add_samples(
        [
            fo.Sample(
                filepath=photo, pair=pair.element(side), masks=detections(), truth=detections()
            )
            for side in ("left", "right")
        ]
    )
    return dataset


@pytest.fixture
def videos(make_dataset, tmp_path, detections):
    import fiftyone as fo

    dataset = make_dataset()
    dataset.add_sample(
        fo.Sample(filepath=str(tmp_path / "a.mp4"), masks=detections(), truth=detections())
    )
    return dataset


COMMANDS = {
    "generate": ["--field", "made", "--backbone", "embedded", "--num-workers", "0"],
    "evaluate": ["masks", "--gt-field", "truth"],
    "export": ["masks", "{folder}/masks.json"],
    "train": ["--field", "masks", "--output", "{folder}/run", "--weights", "random"],
    "group": ["masks", "--backbone", "embedded"],
    "name": ["masks", "0=cup"],
    "spread": ["masks"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("media", ["grouped", "videos"])
def test_groups_and_videos_are_one_sentence_and_nothing_is_changed(
    request, tmp_path, command, media
):
    from fiftyone_promerge.cli.command import main

    dataset = request.getfixturevalue(media)
    before, files = list(dataset.get_field_schema()), sorted(tmp_path.iterdir())
    arguments = [word.format(folder=tmp_path) for word in COMMANDS[command]]
    result = CliRunner().invoke(main, [command, dataset.name, *arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert "not image; choose the images with select_group_slices()" in " ".join(
        result.output.translate(str.maketrans("│╭╮╰╯─", "      ")).split()
    )
    dataset.reload()
    assert list(dataset.get_field_schema()) == before
    assert sorted(tmp_path.iterdir()) == files


def test_the_same_photo_twice_gets_its_masks_twice_and_two_ids(make_dataset, photo, tmp_path):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset = make_dataset()
    dataset.add_samples([fo.Sample(filepath=photo), fo.Sample(filepath=photo)])
    model = fop.load_model(backbone="embedded", image_size=96)
    assert fop.generate_masks(dataset, model, "masks", num_workers=0).images == 2
    first, second = dataset.values("masks.detections")
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert one.bounding_box == other.bounding_box
        assert (one.mask == other.mask).all()
    fop.export_coco(dataset, "masks", tmp_path / "masks.json")
    images = json.loads((tmp_path / "masks.json").read_text())["images"]
    assert len({image["id"] for image in images}) == 2
