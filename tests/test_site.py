"""The documentation: it builds without a warning, no link is broken, and it needs no other site."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.timeout(1800)  # four notebooks: a minute, or many on busy cores
BY_SEARCH = {"genindex.html", "py-modindex.html", "search.html"}
"""Pages of Sphinx's own, which the search leads to."""


@pytest.fixture(scope="module")
def site(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it; its notebooks are executed."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    built = subprocess.run(
        [*command, ROOT / "docs", site / "html"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return site / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, BeautifulSoup]:
    """Every page by its path in the site."""
    return {
        str(path.relative_to(site)): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def is_elsewhere(address: str) -> bool:
    return re.match(r"(https?:)?//|mailto:", address) is not None


def targets(name: str, page: BeautifulSoup) -> list[tuple[str, str]]:
    """The file and the anchor of each link on a page that leads to this site."""
    links = [link["href"] for link in page.find_all("a", href=True)]
    here = [urldefrag(urljoin(name, link)) for link in links if not is_elsewhere(link)]
    return [(unquote(target or name), unquote(anchor)) for target, anchor in here]


def test_no_link_is_broken(site, pages):
    anchors = {name: {tag["id"] for tag in page.find_all(id=True)} for name, page in pages.items()}
    broken = [
        f"{name}: {target}#{anchor}"
        for name, page in pages.items()
        for target, anchor in targets(name, page)
        if not (site / target).is_file() or (anchor and anchor not in anchors[target])
    ]
    pictures = [
        f"{name}: {picture['src']}"
        for name, page in pages.items()
        for picture in page.find_all("img", src=True)
        if not (site / urljoin(name, picture["src"])).is_file() and not is_elsewhere(picture["src"])
    ]
    assert not broken + pictures
    assert sum(len(targets(name, page)) for name, page in pages.items()) > 1000


def test_every_page_is_reached_from_the_start_page(pages):
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in pages and name not in reached:
            reached.add(name)
            waiting += [target for target, _ in targets(name, pages[name])]
    assert set(pages) - reached <= BY_SEARCH | {"_modules/index.html"}


def test_every_tutorial_shows_what_it_computed_and_opens_on_colab(pages):
    notebooks = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
    assert len(notebooks) == 4
    for notebook in notebooks:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells), f"{notebook.name} stores outputs"
        page = pages[f"tutorials/{notebook.stem}.html"]
        assert page.select(".cell_output img") and page.select(".cell_output pre")
        repository = "https://colab.research.google.com/github/promerge/fiftyone-promerge/blob/main"
        assert page.find("a", href=f"{repository}/docs/tutorials/{notebook.name}")


def test_the_apps_help_leads_to_pages_of_this_site(pages):
    from fiftyone_promerge.operators.framework.run_operator import RunOperator
    from fiftyone_promerge.operators.inspector.panel import Inspector
    from fiftyone_promerge.operators.registry import OPERATORS
    from fiftyone_promerge.plugin import DOCUMENTATION

    own = [one for one in OPERATORS if issubclass(one, RunOperator)]
    assert {f"{one.help_page}.html" for one in own} <= set(pages) and len(own) > 5
    help_of_panel = Inspector().config.help_markdown
    assert re.search(rf"{DOCUMENTATION}/(\S+html)", help_of_panel).group(1) in pages


def test_nothing_is_loaded_from_another_site(site, pages):
    loaded = [
        f"{name}: {tag[attribute]}"
        for name, page in pages.items()
        for kind, attribute in [("script", "src"), ("link", "href"), ("iframe", "src")]
        for tag in page.find_all(kind, attrs={attribute: True})
        if is_elsewhere(tag[attribute]) and "canonical" not in tag.get("rel", [])
    ]
    styles = [*site.rglob("*.css")]
    imported = [
        f"{style.name}: {address}"
        for style in styles
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", style.read_text())
        if is_elsewhere(address)
    ]
    assert styles and not loaded + imported


@pytest.mark.parametrize(
    ("package", "page"),
    [
        ("promerge_core", "promerge_core"),
        ("fiftyone_promerge", "fiftyone_promerge"),
        ("fiftyone_promerge.training", "training"),
    ],
)
def test_every_public_name_has_its_place_and_its_source(package, page, pages):
    module = importlib.import_module(package)
    # What `fiftyone_promerge` gives as its own stands on its page alone.
    others = set() if page == "fiftyone_promerge" else {"export_detector"}
    content = pages[f"api/{page}.html"]
    for name in set(module.__all__) - others:
        place = content.find(id=f"{package}.{name}")
        assert place, name
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name)):
            assert place.find("a", href=re.compile("_modules/")), name


def test_every_command_and_flag_is_on_the_page_of_commands(pages):
    from fiftyone_promerge.cli.command import main

    text = pages["cli.html"].get_text()
    for name, command in main.commands.items():
        assert f"promerge {name}" in text
        for parameter in command.params:
            assert all(flag in text for flag in parameter.opts if flag.startswith("-"))
