"""What a run decides from its options and its labels."""

from __future__ import annotations

import dataclasses

import pytest

from fiftyone_promerge.training import TrainingError, TrainingOptions
from fiftyone_promerge.training.data.records import RecordFile, write_records
from fiftyone_promerge.training.recipes import RECIPES
from fiftyone_promerge.training.run.choices import adapt, choose, scale


def options(**given):
    return TrainingOptions(**given).to_dict()


def test_a_recipe_names_its_architecture_and_its_weights():
    recipe, chosen = choose(options(recipe="small"))
    assert recipe == RECIPES["small"]
    assert (chosen["architecture"], chosen["weights"]) == ("mask_rcnn_small", "random")
    _, chosen = choose(options(recipe="small", architecture="mask_rcnn", weights="/w.pth"))
    assert (chosen["architecture"], chosen["weights"]) == ("mask_rcnn", "/w.pth")
    _, chosen = choose(options())
    assert (chosen["architecture"], chosen["weights"]) == ("mask_rcnn", None)


def test_numbers_that_are_given_take_the_place_of_the_recipes():
    given = options(recipe="small", seed=7, image_size=320, iterations=500, learning_rate=1e-3)
    recipe, chosen = choose(given)
    recipe = scale(recipe, chosen, 300, 1)
    assert (recipe.seed, recipe.test_short_side, recipe.num_images) == (7, 320, 300)
    assert (recipe.rounds[0].iterations, recipe.rounds[0].learning_rate) == (500, 1e-3)


def test_iterations_and_minutes_together_are_one_sentence():
    with pytest.raises(TrainingError, match="exclude each other"):
        choose(options(iterations=5, minutes=5))


@pytest.fixture
def file(records, tmp_path):
    write_records(tmp_path / "r.jsonl", records)
    return RecordFile(tmp_path / "r.jsonl")


def test_sizes_follow_images_and_labels_and_it_says_why(file):
    recipe, chosen = choose(options(recipe="small"))
    adapted, reasons = adapt(recipe, file, chosen)
    assert adapted.test_short_side == 256
    assert len(adapted.anchor_sizes) == 5 and adapted.anchor_sizes != recipe.anchor_sizes
    assert reasons[0] == "short side 256 pixels: that of a crop, the images have 64"
    assert reasons[1].startswith(f"anchors {adapted.anchor_sizes[0]:g}, ")
    assert "half of the labels are" in reasons[1]


def test_an_image_size_that_is_given_stays(file):
    recipe, chosen = choose(options(recipe="small", image_size=128))
    adapted, reasons = adapt(recipe, file, chosen)
    assert adapted.test_short_side == 128 and len(reasons) == 1


def test_other_recipes_stay_as_they_are(file):
    recipe, chosen = choose(options(recipe="smoke"))
    assert adapt(recipe, file, chosen) == (recipe, ())
    assert recipe == dataclasses.replace(RECIPES["smoke"])
