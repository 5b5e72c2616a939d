"""What a run was begun with, kept beside it and compared when it is resumed."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fiftyone_promerge.training import TrainingError, TrainingOptions
from fiftyone_promerge.training.run.settings import Settings


@pytest.fixture
def settings(tiny_recipe):
    """Those of a run on ten images."""
    options = TrainingOptions(architecture="mask_rcnn", rounds=2).to_dict()
    del options["recipe"]
    return Settings(options, tiny_recipe, {"dataset": "drawn", "field": "boxes", "images": 10})


def changed(settings, **options):
    return settings._replace(options=settings.options | options)


def test_what_was_saved_is_loaded(settings, tmp_path):
    settings.save(tmp_path / "run.json")
    assert Settings.load(tmp_path / "run.json") == settings


def test_rounds_and_workers_may_change_when_a_run_is_resumed(settings, tmp_path):
    settings.save(tmp_path / "run.json")
    now = changed(settings, rounds=1, num_workers=0)
    now.save(tmp_path / "run.json")
    assert Settings.load(tmp_path / "run.json") == now


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "detectron2"}, "engine torchvision, now it is detectron2"),
        ({"weights": "/dino.pth"}, "weights None, now it is /dino.pth"),
    ],
)
def test_what_decides_the_outcome_must_stay(settings, tmp_path, change, message):
    settings.save(tmp_path / "run.json")
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(TrainingError, match=message):
        changed(settings, **change).save(tmp_path / "run.json")
    assert (tmp_path / "run.json").read_bytes() == before


def test_other_masks_to_train_on_are_named(settings, tmp_path):
    settings.save(tmp_path / "run.json")
    with pytest.raises(TrainingError, match="begun with field boxes, now it is promerge"):
        settings._replace(source=settings.source | {"field": "promerge"}).save(
            tmp_path / "run.json"
        )


def test_settings_from_before_an_option_was_declared_have_its_default(settings, tmp_path):
    settings.save(tmp_path / "run.json")
    values = json.loads((tmp_path / "run.json").read_text())
    del values["devices"], values["batch_size"]
    (tmp_path / "run.json").write_text(json.dumps(values))
    assert Settings.load(tmp_path / "run.json") == settings


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "[" * 100_000, "{}", '{"run": {}, "root": "/", "images": 3}', '{"recipe": 3}'],
)
def test_what_describes_no_training_is_named(settings, tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(content)
    for use in (lambda: Settings.load(path), lambda: settings.save(path)):
        with pytest.raises(TrainingError, match=r"run.json does not describe a training"):
            use()
    assert path.read_text() == content


def test_an_option_that_is_damaged_is_named(settings, tmp_path):
    path = tmp_path / "run.json"
    settings.save(path)
    path.write_text(path.read_text().replace('"devices": 1', '"devices": "many"'))
    with pytest.raises(TrainingError, match=r"run.json does not describe a training"):
        Settings.load(path)


def test_a_changed_number_of_the_recipe_is_named(settings, tmp_path):
    settings.save(tmp_path / "run.json")
    recipe = dataclasses.replace(settings.recipe, batch_size=4)
    with pytest.raises(TrainingError, match="begun with batch_size 2, now it is 4"):
        settings._replace(recipe=recipe).save(tmp_path / "run.json")


def test_a_run_keeps_the_numbers_it_was_begun_with(settings, tmp_path):
    """A newer version of the recipe is for new runs."""
    settings.save(tmp_path / "run.json")
    newer = settings._replace(recipe=dataclasses.replace(settings.recipe, gamma=0.5))
    assert newer.save(tmp_path / "run.json") == settings
    assert Settings.load(tmp_path / "run.json") == settings
