"""What the packages give by name."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

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


def test_a_source_tree_has_its_own_parts_where_another_is_installed(tmp_path: Path):
    root, package = Path(__file__).parents[1], tmp_path / "fiftyone_promerge"
    package.mkdir()
    for name in ("__init__.py", "__init__.pyi"):
        shutil.copy(root / "fiftyone_promerge" / name, package)
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    other = str(root / "training" / "registry.py")
    program = f"""
import importlib.util, sys

class Installed:
    def find_spec(name, path=None, target=None):
        if name == "fiftyone_promerge.training":
            return importlib.util.spec_from_file_location(name, {other!r})

sys.meta_path.append(Installed)
import fiftyone_promerge.training
print(fiftyone_promerge.training.__file__)
"""
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(process.stdout.strip()) == tmp_path / "training" / "__init__.py"
