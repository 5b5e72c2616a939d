"""Recipes: the numbers of the papers, and the linear rule."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fiftyone_promerge.training.recipes import RECIPES, Recipe, RecipeError, find_recipe

CUTLER = find_recipe("cutler")


def test_at_its_own_size_a_recipe_stays_as_it_is():
    for recipe in RECIPES.values():
        assert recipe.scaled(recipe.num_images, 1, recipe.batch_size) == recipe


def test_half_the_batch_is_twice_the_iterations_at_half_the_rate():
    scaled = CUTLER.scaled(CUTLER.num_images, 4, 8)
    assert (scaled.batch_size, scaled.warmup_iterations) == (8, 2000)
    assert scaled.rounds[0] == dataclasses.replace(
        CUTLER.rounds[0], iterations=320_000, learning_rate=0.005, milestones=(160_000,)
    )


def test_each_image_is_seen_as_often_however_many_there_are():
    scaled = CUTLER.scaled(CUTLER.num_images // 4, 8, 16)
    assert scaled.rounds[0].iterations == pytest.approx(40_000, abs=1)
    assert scaled.rounds[0].milestones == (scaled.rounds[0].iterations // 2,)
    assert scaled.rounds[0].learning_rate == 0.01
    more = CUTLER.scaled(CUTLER.num_images * 4, 8, 16)
    assert more.rounds[0].iterations == 160_000


def test_few_images_are_seen_often_enough_to_learn_something():
    scaled = CUTLER.scaled(100, 1, 16)
    assert scaled.rounds[0].iterations == CUTLER.min_samples // 16
    assert scaled.warmup_iterations == scaled.rounds[0].iterations // 10


@pytest.mark.parametrize(("devices", "batch"), [(1, 2), (4, 8), (8, 16), (16, 16), (64, 64)])
def test_the_default_batch_follows_the_devices(devices, batch):
    assert CUTLER.scaled(10**6, devices).batch_size == batch


@pytest.mark.parametrize("batch", [0, 1, 6, -4])
def test_a_batch_that_devices_cannot_share_is_one_sentence(batch):
    with pytest.raises(RecipeError, match="cannot be divided evenly among 4 devices"):
        CUTLER.scaled(100, 4, batch)


def test_the_cascade_has_a_gamma_of_its_own():
    """CutLER's configuration of the cascade says 0.02; that of Mask R-CNN leaves the default."""
    assert CUTLER.of("mask_rcnn").gamma == 0.1
    assert CUTLER.of("cascade_mask_rcnn") == dataclasses.replace(CUTLER, gamma=0.02)


def test_a_recipe_survives_json():
    for recipe in RECIPES.values():
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_an_unknown_recipe_is_one_sentence():
    with pytest.raises(RecipeError, match="no recipe 'cuttler'; there are promerge_plus, cutler"):
        find_recipe("cuttler")
