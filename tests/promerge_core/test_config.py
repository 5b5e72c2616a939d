"""Every parameter of the config: its default, its range, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from promerge_core import ConfigError, ProMergeConfig, PromergeError

PARAMETERS = {field.name: field for field in dataclasses.fields(ProMergeConfig)}
CHOICES = [name for name, field in PARAMETERS.items() if isinstance(field.default, str)]
NUMBERS = [name for name in PARAMETERS if name not in CHOICES]
INTEGERS = [name for name in NUMBERS if isinstance(PARAMETERS[name].default, int)]
BOUNDS = [(name, end) for name in NUMBERS for end in ("low", "high")]


def test_defaults_are_the_papers():
    assert ProMergeConfig().to_dict() == {
        "image_size": 480,
        "seed_stride": 4,
        "affinity_threshold": 0.2,
        "component_area_ratio": 0.5,
        "background": "borders",
        "min_background_fraction": 0.1,
        "background_overlap": 0.8,
        "background_similarity": 0.1,
        "merge_overlap": 0.5,
        "merge_overlap_similar": 0.1,
        "merge_similarity": 0.1,
        "refine_iou": 0.5,
        "refiner": "batched",
        "split_necks": 0.0,
        "min_relative_area": 0.0,
        "crf_iterations": 10,
        "crf_gaussian_sxy": 3.0,
        "crf_gaussian_compat": 7.0,
        "crf_bilateral_sxy": 50.0,
        "crf_bilateral_srgb": 5.0,
        "crf_bilateral_compat": 10.0,
        "score": "stability",
    }


@pytest.mark.parametrize(("name", "end"), BOUNDS)
def test_bounds_are_allowed_and_what_lies_beyond_is_not(name, end):
    bound = PARAMETERS[name].metadata[end]
    assert getattr(ProMergeConfig(**{name: bound}), name) == bound
    step = 1 if name in INTEGERS else 1e-9
    beyond = bound + (step if end == "high" else -step)
    with pytest.raises(ConfigError, match=rf"^{name} must be .*{bound}"):
        ProMergeConfig(**{name: beyond})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "0.5", "", None, True, False, [1], 1j]
)
def test_what_is_no_finite_number_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"^{name} must be a finite number"):
        ProMergeConfig(**{name: value})


@pytest.mark.parametrize("name", INTEGERS)
def test_whole_numbers_may_come_as_floats_and_others_not(name):
    default = PARAMETERS[name].default
    value = getattr(ProMergeConfig(**{name: float(default)}), name)
    assert value == default
    assert type(value) is int
    with pytest.raises(ConfigError, match=f"^{name} must be a whole number"):
        ProMergeConfig(**{name: default + 0.5})


def test_numpys_numbers_are_numbers():
    config = ProMergeConfig(image_size=np.int64(240), refine_iou=np.float32(0.25))
    assert (config.image_size, config.refine_iou) == (240, 0.25)
    assert (type(config.image_size), type(config.refine_iou)) == (int, float)


def test_integers_become_floats_where_a_parameter_is_a_float():
    value = ProMergeConfig(crf_gaussian_sxy=3).crf_gaussian_sxy
    assert type(value) is float


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_allowed_and_others_are_refused_by_name(name):
    choices = PARAMETERS[name].metadata["choices"]
    assert [getattr(ProMergeConfig(**{name: choice}), name) for choice in choices] == list(choices)
    for wrong in ("nothing", 1, None, True):
        with pytest.raises(ConfigError, match=f"^{name} must be one of {', '.join(choices)}"):
            ProMergeConfig(**{name: wrong})


@pytest.mark.parametrize("value", [[], {}])
@pytest.mark.parametrize("name", CHOICES)
def test_unhashable_choices_are_refused_too(name, value):
    with pytest.raises(ConfigError):
        ProMergeConfig(**{name: value})


def test_unknown_parameter_is_named_with_those_that_exist():
    with pytest.raises(ConfigError, match=r"'treshold'.*affinity_threshold"):
        ProMergeConfig.from_dict({"treshold": 0.2})


def test_dict_round_trip_survives_json():
    config = ProMergeConfig(image_size=240, score="constant", affinity_threshold=-0.25)
    values = json.loads(json.dumps(config.to_dict()))
    assert ProMergeConfig.from_dict(values) == config
    assert ProMergeConfig.from_dict({}) == ProMergeConfig()


def test_values_cannot_change_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ProMergeConfig().image_size = 240


def test_errors_are_value_errors_of_the_package():
    assert issubclass(ConfigError, PromergeError)
    assert issubclass(PromergeError, ValueError)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_says_what_it_means(name):
    assert len(PARAMETERS[name].metadata["help"]) > 20
