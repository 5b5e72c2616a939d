"""The code stands as CONTRIBUTING says: folders, the way of imports, sizes, tests, docstrings."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

try:
    import tomllib
except ImportError:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "promerge_core": "promerge_core",
    "fiftyone_promerge": "fiftyone_promerge",
    "operators": "fiftyone_promerge.operators",
    "training": "fiftyone_promerge.training",
}
"""The name by which each top-level folder is imported."""

MAY_IMPORT = {
    "promerge_core": set(),
    "training": {"promerge_core"},
    "fiftyone_promerge": {"promerge_core", "training"},
    "operators": {"promerge_core", "training", "fiftyone_promerge"},
}
"""The other packages that each may import."""

MOST_MODULES, MOST_LINES, MOST_FUNCTION_LINES = 13, 300, 50
"""Per folder, per module, and per function without its docstring."""


def product_files(folder: str = "") -> list[Path]:
    """Every module of the product but the shims, or those of one folder, without its subfolders."""
    files = [
        path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "_site" not in path.parts
    ]
    return [path for path in files if not folder or path.parent == ROOT / folder]


FOLDERS = sorted({str(path.parent.relative_to(ROOT)) for path in product_files()})
in_each_folder = pytest.mark.parametrize("folder", FOLDERS)


def module_name(path: Path) -> str:
    """The name a module is imported by."""
    first, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((PACKAGES[first], *rest)).removesuffix(".__init__")


def package_of(module: str) -> str:
    """The top-level folder a module of ours stands in."""
    inner_first = sorted(PACKAGES.items(), key=lambda item: -len(item[1]))
    return next(folder for folder, name in inner_first if f"{module}.".startswith(f"{name}."))


def imports(path: Path) -> Iterator[str]:
    """Everything that a module imports, at its top or in a function."""
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


def assert_no_circle(edges: list[tuple[str, str]]) -> None:
    graph: dict[str, set[str]] = {}
    for importer, target in edges:
        graph.setdefault(importer, set()).add(target)
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package):
    wrong = [
        f"{importer} imports {target}"
        for importer, target in edges()
        if package_of(importer) == package
        and package_of(target) not in {package, *MAY_IMPORT[package]}
    ]
    assert not wrong


def test_the_core_knows_no_fiftyone():
    for path in sorted((ROOT / "promerge_core").rglob("*.py")):
        assert not [name for name in imports(path) if name.split(".")[0] == "fiftyone"], path


def test_modules_import_one_another_without_a_circle():
    packages = {module_name(path) for path in product_files() if path.name == "__init__.py"}
    assert_no_circle([edge for edge in edges() if edge[1] not in packages])


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_import_one_another_without_a_circle(package):
    def part(module: str) -> str:
        """The folder or module that stands directly in the package."""
        return module.removeprefix(PACKAGES[package]).strip(".").split(".")[0]

    inside = [edge for edge in edges() if {package_of(module) for module in edge} == {package}]
    parts = [(part(importer), part(target)) for importer, target in inside]
    assert_no_circle([(one, other) for one, other in parts if one and other and one != other])


def test_every_folder_is_installed():
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    there = {module_name(path) for path in product_files() if path.name == "__init__.py"}
    assert sorted(listed) == sorted(there)
    for path in product_files():
        assert (path.parent / "__init__.py").exists(), path


@in_each_folder
def test_a_folder_can_be_looked_over_at_once(folder):
    assert 0 < len(product_files(folder)) <= MOST_MODULES


@in_each_folder
def test_modules_and_functions_can_be_read_at_once(folder):
    too_long = []
    for path in product_files(folder):
        text = path.read_text()
        lines = len(text.splitlines())
        if lines > MOST_LINES:
            too_long.append(f"{path.name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = (ast.get_docstring(node, clean=False) or "").splitlines()
                lines = node.end_lineno - node.lineno + 1 - len(docstring)
                if lines > MOST_FUNCTION_LINES:
                    too_long.append(f"{path.name}:{node.lineno} {node.name}: {lines} lines")
    assert not too_long


def decides(path: Path) -> bool:
    """Whether a module does one thing or another."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    conditions = [node.test for node in nodes if isinstance(node, ast.If | ast.IfExp)]
    return any(ast.unparse(condition) != "TYPE_CHECKING" for condition in conditions)


@in_each_folder
def test_every_module_that_decides_something_has_a_test_file(folder):
    modules = [path for path in product_files(folder) if path.name != "__init__.py"]
    tests = {path.name for path in (ROOT / "tests" / folder).glob("test_*.py")}
    assert not [path.name for path in modules if decides(path) and f"test_{path.name}" not in tests]


def public_functions(path: Path) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """Public functions and methods of public classes; whether it is a method."""
    for node in ast.parse(path.read_text()).body:
        is_class = isinstance(node, ast.ClassDef)
        for one in node.body if is_class and not node.name.startswith("_") else [node]:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                yield one, is_class


def unsaid(function: ast.FunctionDef, is_method: bool) -> list[str]:
    """Sections that the docstring of a function of two or more arguments lacks.

    That of a command is its help text, and that of a method may name the one it implements.
    """
    text = ast.get_docstring(function) or ""
    arguments = len(function.args.args) + len(function.args.kwonlyargs) - is_method
    is_command = any("command(" in ast.unparse(one) for one in function.decorator_list)
    if arguments < 2 or is_command or (is_method and text.startswith("See `")):
        return []
    returns = ast.unparse(function.returns) if function.returns else "None"
    raises = any(
        isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        for node in ast.walk(function)
    )
    wanted = {
        "Args:": True,
        "Returns:": returns not in ("None", "Iterator[None]"),
        "Raises": raises,
    }
    return [section for section, is_wanted in wanted.items() if is_wanted and section not in text]


@in_each_folder
def test_public_functions_say_what_they_take_give_and_raise(folder):
    silent = [
        f"{path.name}:{function.lineno} {function.name}: {', '.join(sections)}"
        for path in product_files(folder)
        for function, is_method in public_functions(path)
        if (sections := unsaid(function, is_method))
    ]
    assert not silent
