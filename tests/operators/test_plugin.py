"""What the plugin's files say is what its code has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

try:
    import tomllib
except ImportError:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def operators(database):
    from fiftyone_promerge.operators.registry import OPERATORS

    return OPERATORS


def test_every_operator_says_what_it_is(operators):
    for operator in operators:
        config = operator().config
        assert config.label and config.icon, config.name
        assert getattr(config, "description", None) or getattr(config, "help_markdown", None)


def test_requirements_are_the_projects_dependencies_less_fiftyone():
    wanted = [line for line in project()["dependencies"] if not line.startswith("fiftyone")]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == wanted


def test_every_zoo_model_is_in_the_manifest(database):
    from fiftyone_promerge.zoo import MODELS

    manifest = json.loads((ROOT / "manifest.json").read_text())
    assert [model["base_name"] for model in manifest["models"]] == list(MODELS)
    for model in manifest["models"]:
        assert (ROOT / model["base_filename"]).parent == ROOT / "fiftyone_promerge" / "zoo"


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
