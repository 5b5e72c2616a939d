"""Recipes of a person's own, from a YAML file or a Python value."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from fiftyone_promerge.training.recipes import RECIPES, RecipeError, find_recipe

SMALL, CUTLER = RECIPES["small"], RECIPES["cutler"]
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.fixture
def read(tmp_path):
    """The recipe in a file with this text."""

    def call(text):
        (tmp_path / "mine.yaml").write_text(text)
        return find_recipe(tmp_path / "mine.yaml")

    return call


def test_a_file_says_what_differs_from_its_base(read):
    recipe = read("base: small\ncrop: 320\nanchor_sizes: [16, 32.5]\nweight_decay: 1e-4\n")
    assert recipe == dataclasses.replace(
        SMALL, name="mine", crop=320, anchor_sizes=(16.0, 32.5), weight_decay=1e-4
    )


def test_a_round_of_a_file_differs_from_the_bases_round_or_from_its_last_one(read):
    recipe = read(
        "base: small\nrounds:\n  - iterations: 900\n"
        "  - {droploss_iou: null, score_threshold: 0.8}\n"
    )
    first = SMALL.rounds[0]
    assert recipe.rounds == (
        dataclasses.replace(first, iterations=900),
        dataclasses.replace(first, droploss_iou=None, score_threshold=0.8),
    )
    recipe = read("base: cutler\nrounds: [{}, {learning_rate: 0.002}]")
    assert recipe.rounds == (
        CUTLER.rounds[0],
        dataclasses.replace(CUTLER.rounds[1], learning_rate=0.002),
    )


def test_what_a_file_says_holds_for_each_architecture(read):
    assert read("base: cutler").of("cascade_mask_rcnn").gamma == 0.02
    assert read("base: cutler\ngamma: 0.3").of("cascade_mask_rcnn").gamma == 0.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop: 320", "does not say which recipe it begins with; add a line such as base: small"),
        ("base: smal", "no usable base; it is one of promerge_plus, cutler, small, smoke"),
        ("base: [small]", "no usable base"),
        ("base: small\ncrops: 320", r"there is no 'crops' in a recipe; did you mean crop"),
        ("base: small\ntitle: x", "there is no 'title' in a recipe"),
        ("base: small\n3: 3", "there is no 3 in a recipe; it has name, rounds, num_images, "),
        (
            "base: small\nrounds: [{steps: 3}]",
            "there is no 'steps' in round 0; it has iterations, ",
        ),
        ("base: small\nrounds: 3", "rounds must be a list; got int"),
        ("base: small\nrounds: []", "rounds is empty"),
        ("base: small\nrounds: [3]", "round 0 must have lines such as iterations: 500"),
        ("base: small\nrounds: [{iterations: 0}]", "iterations of round 0 must be at least 1; got"),
        ("base: small\nrounds: [{}, {}]", "score_threshold of round 1 is missing"),
        ("base: small\nrounds: [{score_threshold: 1}]", "round 0 has the dataset's labels"),
        ("base: small\ncrop: large", "crop must be a finite number; got 'large'"),
        ("base: small\ncrop: 32.5", r"crop must be a whole number; got 32\.5"),
        ("base: small\ncrop: [32]", "crop must be a single value, not several"),
        ("base: small\nbfloat16: 1", "bfloat16 must be true or false; got 1"),
        ("base: small\nbatch_size: null", "batch_size must be a finite number; got None"),
        ("base: small\nname: 3", "name must be text; got 3"),
        ("base: small\nweight_decay: .inf", "weight_decay must be a finite number; got inf"),
        ("base: small\nnorm: layer", "norm must be one of batch, group, frozen; got 'layer'"),
        ("base: small\nshort_sides: 640", "short_sides must be a list; got int"),
        ("base: small\nshort_sides: []", "short_sides is empty"),
        ("base: small\ncrop_scales: [1]", "crop_scales must be 2 numbers; got 1"),
        ("base: small\ncrop_scales: [2, 1]", "crop_scales must begin with the smaller number"),
        ("base: small\n  crop: 3", "no YAML in line 2: mapping values are not allowed here"),
        ("base: &x small\nname: *x", "no YAML in line 2: a recipe has no aliases"),
        ("base: !!python/object/apply:os.getcwd []", "no YAML in line 1: could not determine"),
        ("[" * 3000, "no YAML: it cannot be parsed"),
        ("base: small\nseed: " + "9" * 5000, "no YAML: it cannot be parsed"),
        ("- small", "no recipe: it must have lines such as base: small"),
        ("", "no recipe: it must have lines such as base: small"),
        ("\0", "no YAML"),
    ],
)
def test_a_wrong_file_is_one_sentence(read, text, message):
    with pytest.raises(RecipeError, match=rf"mine\.yaml.*{message}") as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_an_unknown_name_are_one_sentence(tmp_path):
    with pytest.raises(RecipeError, match=r"no recipe file at .*none\.yaml"):
        find_recipe(tmp_path / "none.yaml")
    (tmp_path / "folder.yml").mkdir()
    with pytest.raises(RecipeError, match="not a file of at most a megabyte"):
        find_recipe(tmp_path / "folder.yml")
    with pytest.raises(RecipeError, match=r"no recipe 'cuttler'; there are .* ends in \.yaml"):
        find_recipe("cuttler")


def test_the_documented_recipes_are_what_the_page_says(read):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    recipe = read(text)
    assert recipe.crop == 320
    assert [one.iterations for one in recipe.rounds] == [1200, 800]
    assert recipe.rounds[1].score_threshold == 0.8 and recipe.rounds[1].droploss_iou is None

    (code,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "RECIPES" in one)
    made, call = code.split("fop.train_detector")
    names: dict = {}
    exec(made, names)
    assert find_recipe(names["recipe"]) == dataclasses.replace(SMALL, name="cells", crop=320)
    assert "recipe=recipe" in call


def test_a_value_is_checked_like_a_file():
    mine = dataclasses.replace(SMALL, name="mine", anchor_sizes=[16, 32])
    assert find_recipe(mine).anchor_sizes == (16.0, 32.0)
    with pytest.raises(RecipeError, match="gamma must be a finite number; got 'low'"):
        find_recipe(dataclasses.replace(SMALL, gamma="low"))


def test_every_recipe_of_ours_passes_the_check_as_it_is():
    for recipe in RECIPES.values():
        found = find_recipe(dataclasses.replace(recipe, name="mine"))
        assert dataclasses.replace(found, name=recipe.name) == recipe
