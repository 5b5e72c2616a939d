"""The code stands as CONTRIBUTING says."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

try:
    import tomllib
except ImportError:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "promerge_core": "promerge_core",
    "fiftyone_promerge": "fiftyone_promerge",
    "operators": "fiftyone_promerge.operators",
    "training": "fiftyone_promerge.training",
}


def product_files() -> list[Path]:
    """Every module of the product but the shims."""
    return [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "_site" not in path.parts
    ]


def module_name(path: Path) -> str:
    first, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((FOLDERS[first], *rest)).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a module imports, at its top or in a function."""
    package = module_name(path)
    if path.name != "__init__.py":
        package = package.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            target = ".".join(filter(None, (base, node.module)))
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)


def edges() -> Iterator[tuple[str, str]]:
    """Importing module, imported module."""
    modules = {module_name(path) for path in product_files()}
    for path in product_files():
        for target in imports(path):
            if target in modules and target != module_name(path):
                yield module_name(path), target


def test_the_core_knows_no_fiftyone():
    for path in sorted((ROOT / "promerge_core").rglob("*.py")):
        assert not [name for name in imports(path) if name.split(".")[0] == "fiftyone"], path


def test_modules_import_one_another_without_a_circle():
    graph: dict[str, set[str]] = {}
    packages = {module_name(path) for path in product_files() if path.name == "__init__.py"}
    for importer, target in edges():
        if target not in packages:
            graph.setdefault(importer, set()).add(target)
    graphlib.TopologicalSorter(graph).prepare()


def test_every_folder_is_installed():
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    there = {module_name(path) for path in product_files() if path.name == "__init__.py"}
    assert sorted(listed) == sorted(there)
    for path in product_files():
        assert (path.parent / "__init__.py").exists(), path
