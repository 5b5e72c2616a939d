"""The registry of engines says what the engines have."""

from __future__ import annotations

from pathlib import Path

import pytest

from fiftyone_promerge.training.engines.detectron2 import architectures as of_detectron2
from fiftyone_promerge.training.engines.torchvision import architectures as of_torchvision
from fiftyone_promerge.training.registry import ARCHITECTURES, ENGINES

TABLES = {"torchvision": of_torchvision.ARCHITECTURES, "detectron2": of_detectron2.ARCHITECTURES}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_the_architectures_that_its_entry_names(name):
    assert list(ENGINES[name].architectures) == list(TABLES[name])


def test_the_union_has_every_architecture_once():
    assert list(ARCHITECTURES) == ["mask_rcnn", "mask_rcnn_small", "cascade_mask_rcnn"]
    for engine in ENGINES.values():
        assert engine.architectures.items() <= ARCHITECTURES.items()


def test_every_engines_module_is_where_its_entry_says():
    folder = Path(of_torchvision.__file__).parents[1]
    for engine in ENGINES.values():
        assert (folder / engine.home.replace(".", "/")).with_suffix(".py").is_file()


def test_one_engine_takes_the_convnets_of_timm():
    assert ENGINES["torchvision"].has("timm:resnet18")
    assert not ENGINES["detectron2"].has("timm:resnet18")
    assert ENGINES["detectron2"].listed == "mask_rcnn, cascade_mask_rcnn"
