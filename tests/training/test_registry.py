"""The registry of engines says what the engines have, without importing what they are built on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fiftyone_promerge.training import TrainingError
from fiftyone_promerge.training.engines.base import choose_architecture
from fiftyone_promerge.training.engines.detectron2 import architectures as of_detectron2
from fiftyone_promerge.training.engines.torchvision import model as of_torchvision
from fiftyone_promerge.training.registry import ARCHITECTURES, ENGINES

TABLES = {"torchvision": of_torchvision.BUILDERS, "detectron2": of_detectron2.ARCHITECTURES}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_the_architectures_that_its_entry_names(name):
    assert list(ENGINES[name].architectures) == list(TABLES[name])


def test_the_union_has_every_architecture_once():
    assert ARCHITECTURES == {
        "mask_rcnn": "Mask R-CNN",
        "cascade_mask_rcnn": "Cascade Mask R-CNN",
    }


def test_every_engines_module_is_where_its_entry_says():
    folder = Path(of_torchvision.__file__).parents[1]
    for engine in ENGINES.values():
        assert (folder / engine.home.replace(".", "/")).with_suffix(".py").is_file()


def test_what_is_asked_for_is_checked_with_nothing_installed():
    """Not even PyTorch: names are refused before anything is imported."""
    script = """
import sys
for name in ("torch", "torchvision", "lightning", "detectron2", "fiftyone"):
    sys.modules[name] = None
from fiftyone_promerge.training.engines.base import TrainingError, choose_architecture
from fiftyone_promerge.training.registry import ARCHITECTURES, ENGINES
try:
    choose_architecture("torchvision", "cascade_mask_rcnn")
except TrainingError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == (
        "the engine torchvision has no architecture 'cascade_mask_rcnn'; it has mask_rcnn\n"
    ), done.stderr


def test_the_first_architecture_is_the_default():
    assert choose_architecture("detectron2", None) == "mask_rcnn"
    assert choose_architecture("detectron2", "cascade_mask_rcnn") == "cascade_mask_rcnn"
    with pytest.raises(TrainingError, match="no engine 'jax'; there are torchvision, detectron2"):
        choose_architecture("jax", None)
