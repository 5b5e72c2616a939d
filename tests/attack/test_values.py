"""Any value for any parameter: taken in the parameter's own type, or refused in a sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_promerge.training import TrainingOptions
from promerge_core.config import MaskCutConfig, ProMergeConfig
from promerge_core.options import BackboneOptions, RayOptions, RunOptions
from promerge_core.parameters import ConfigError

CONFIGS = [
    ProMergeConfig,
    MaskCutConfig,
    BackboneOptions,
    RunOptions,
    RayOptions,
    TrainingOptions,
]
HUGE = [10**400, -(10**400), 1e308, 5e-324, 2**63, math.nan, math.inf, -math.inf]

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.integers(), max_size=2),
    st.sampled_from([*HUGE, np.float32(0.5), np.int64(3), np.array([1.0]), object]),
)


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_parameter_takes_what_is_allowed_and_names_what_is_not(config, data):
    one = data.draw(st.sampled_from(list(config.parameters())))
    value = data.draw(values)
    try:
        taken = getattr(config(**{one.name: value}), one.name)
    except ConfigError as error:
        assert str(error).startswith(f"{one.name} must be ")
        return
    assert taken is None or type(taken) is one.type
    if isinstance(taken, int | float):
        assert math.isfinite(taken)
        assert (one.low is None or taken >= one.low) and (one.high is None or taken <= one.high)


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(values=st.dictionaries(st.text(), values, max_size=3))
def test_unknown_names_are_named(config, values):
    known = {one.name for one in config.parameters()}
    if set(values) <= known:
        return
    with pytest.raises(ConfigError, match="has no parameter"):
        config.from_dict(values)
