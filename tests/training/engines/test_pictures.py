"""Pictures of validation images while a detector is trained."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fiftyone_promerge.training.data.records import RecordFile, write_records
from fiftyone_promerge.training.engines.pictures import draw_validation


@pytest.fixture
def file(records, tmp_path):
    """Ten images of two masks each, but the last two, which have one and none."""
    few = [dataclasses.replace(records[8], masks=records[8].masks[:1])]
    few.append(dataclasses.replace(records[9], masks=()))
    write_records(tmp_path / "records.jsonl", [*records[:8], *few])
    return RecordFile(tmp_path / "records.jsonl")


def coloured(picture, left):
    """Share of the pixels in a column of tiles that are neither grey photo, paper nor ink."""
    tile = np.asarray(picture)[:, left : left + 480].astype(int)
    return float((np.ptp(tile, axis=2) > 60).mean())


def test_each_validation_leaves_a_picture_and_an_image_in_tensorboard(trained):
    folder = trained[0].parent
    steps = [int(step) for step in json.loads((folder / "validations.json").read_text())]
    paths = sorted((folder / "validation").iterdir())
    assert [path.name for path in paths] == [f"{step:06d}.png" for step in steps]
    events = EventAccumulator(str(folder / "tensorboard" / "validation"))
    events.Reload()
    assert [image.step for image in events.Images("validation")] == steps
    with Image.open(paths[0]) as picture:  # two validation images: one row of two pairs
        assert picture.width > 4 * 480
        assert (events.Images("validation")[0].width, events.Images("validation")[0].height) == (
            picture.size
        )


def test_labels_are_left_and_sure_predictions_right(file):
    sure = [dataclasses.replace(mask, score=0.5) for mask in file[0].masks]
    unsure = [dataclasses.replace(mask, score=0.49) for mask in file[0].masks]
    for found, expected in [(sure, True), (unsure, False), ([], False)]:
        picture = draw_validation(file, {0: found}, "a title")
        assert coloured(picture, 0) > 0.05
        assert (coloured(picture, 492) > 0.05) is expected


def test_the_same_four_images_whatever_was_found(file):
    everywhere = dict.fromkeys(range(10), ())
    picture = draw_validation(file, everywhere, "a title")
    backwards = dict.fromkeys(reversed(range(10)), ())
    assert picture.tobytes() == draw_validation(file, backwards, "a title").tobytes()
    # Two rows of two pairs, from many labels to few.
    assert (
        picture.tobytes()
        == draw_validation(file, dict.fromkeys((0, 2, 5, 7), ()), "a title").tobytes()
    )
    small = draw_validation(file, {9: ()}, "a title")
    assert small.width < picture.width / 1.9 and small.height < picture.height / 1.5
