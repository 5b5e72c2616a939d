"""The number type to train in, and why."""

from __future__ import annotations

import pytest

from fiftyone_promerge.training import TrainingError
from fiftyone_promerge.training.engines.torchvision import precision
from fiftyone_promerge.training.engines.torchvision.precision import find_precision, why_precision
from fiftyone_promerge.training.recipes import RECIPES

SMALL, CUTLER = RECIPES["small"], RECIPES["cutler"]


@pytest.fixture(params=[False, True])
def cpu(request, monkeypatch):
    """A machine without a GPU, whose CPU has bfloat16 in hardware or not."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: request.param)
    return request.param


def test_a_cpu_takes_bfloat16_where_it_and_the_recipe_have_it(cpu):
    assert find_precision("auto", SMALL) == ("bf16-mixed" if cpu else "32-true")
    assert find_precision("auto", CUTLER) == "32-true"
    assert find_precision("bfloat16", CUTLER) == "bf16-mixed"
    assert find_precision("float32", SMALL) == "32-true"


def test_a_gpu_takes_float16(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert find_precision("auto", CUTLER) == find_precision("float16", CUTLER) == "16-mixed"


def test_float16_without_a_gpu_is_one_sentence(cpu):
    with pytest.raises(TrainingError, match="float16 needs a GPU"):
        find_precision("float16", SMALL)


def test_it_says_why(cpu):
    said = "bfloat16: this CPU computes it" if cpu else "float32: this CPU does not compute"
    assert why_precision("auto", SMALL)[0].startswith(said)
    assert why_precision("auto", CUTLER) == why_precision("float32", SMALL) == []
