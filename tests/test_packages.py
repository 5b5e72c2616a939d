"""What the packages give by name."""

from __future__ import annotations

import importlib

import pytest

PACKAGES = ["promerge_core", "fiftyone_promerge", "fiftyone_promerge.training"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there(name: str, database: str):
    package = importlib.import_module(name)
    for public in package.__all__:
        assert getattr(package, public) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_another_name_is_an_attribute_error(name: str):
    with pytest.raises(AttributeError, match=f"{name} attribute no_such_name"):
        importlib.import_module(name).no_such_name  # noqa: B018
