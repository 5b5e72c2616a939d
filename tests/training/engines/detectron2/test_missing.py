"""Without detectron2 the engine says how to install it, and everything else works."""

import sys

import pytest

from fiftyone_promerge.training.engines.base import find_engine
from promerge_core import MissingExtraError


def test_without_detectron2_the_error_says_how_to_install_it(monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] == "detectron2" or "engines.detectron2" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(MissingExtraError) as caught:
        find_engine("detectron2")
    assert "pip install 'git+https://github.com/facebookresearch/detectron2'" in str(caught.value)
    assert callable(find_engine("torchvision").train)
