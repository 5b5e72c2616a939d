"""The code in the documentation: Python runs, and commands are those that there are.

A block that is not run has a comment before it that says why: `<!-- not run: ... -->`. The
tutorials are executed by `test_site.py`.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from markdown_it import MarkdownIt
from rich_click import Choice, Context

try:
    import tomllib
except ImportError:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
TOOLS = {"case", "done", "fiftyone", "for", "ray"}
"""First words of lines that are no commands of ours."""


class Block(NamedTuple):
    """A block of code of a page."""

    page: str
    line: int
    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page but those whose comment says why they are not run."""
    reason = ""
    for token in MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8")):
        if token.type == "html_block":
            reason = "not run: " in token.content
            continue
        if token.type in ("fence", "code_block") and not reason:
            yield Block(page, token.map[0] + 1, token.info, token.content)
        reason = ""


def python_pages() -> list[str]:
    return [page for page in PAGES if any(one.language == "python" for one in blocks(page))]


def commands(page: str) -> Iterator[list[str]]:
    """The words of each line for a shell, without comments and without what it sets."""
    for block in blocks(page):
        if block.language in ("", "bash"):
            for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
                words = shlex.split(line, comments=True)
                words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
                if words:
                    yield words


@pytest.fixture
def workplace(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A folder `photos`, a dataset as the pages speak of, and what they take as given."""
    import fiftyone as fo
    import numpy as np
    from PIL import Image

    import fiftyone_promerge as fop
    from fiftyone_promerge.demo import demo_photos
    from promerge_core import load_backbone

    monkeypatch.chdir(tmp_path)
    before = set(fo.list_datasets())
    Path("photos").mkdir()
    for photo in demo_photos()[:2]:
        shutil.copy(photo, "photos")
    small = [Image.open(photo).convert("RGB").resize((160, 120)) for photo in demo_photos()[:2]]
    dataset = fo.Dataset.from_images_dir("photos", name="coco2017")
    mask = np.ones((40, 40), bool)
    box = fo.Detection(label="cat", category="cat", bounding_box=[0.2, 0.2, 0.5, 0.5], mask=mask)
    for field in ("ground_truth", "promerge", "detector"):
        labels = [fo.Detections(detections=[box.copy()]) for _ in dataset]
        for label in labels:
            label.detections[0].confidence = 0.9
        dataset.set_values(field, labels)
    backbone = load_backbone("embedded")
    yield {
        "fop": fop,
        "dataset": dataset,
        "features": backbone(backbone.normalise(np.asarray(small[0].resize((160, 160)))[None]))[0],
        "image_1": small[0],
        "image_2": small[1],
    }
    for name in set(fo.list_datasets()) - before:
        fo.delete_dataset(name)


@pytest.mark.parametrize("page", python_pages())
def test_the_python_of_a_page_runs(page, workplace, capsys):
    for block in blocks(page):
        if block.language == "python":
            # DINO's weights are a download, and a browser would stay open.
            text = block.text.replace("dino_vitb8", "embedded").replace("fo.launch_app", "id")
            text = text.replace("num_workers=4", "num_workers=0")
            code = compile("\n" * block.line + text, block.page, "exec")
            exec(code, workplace)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_are_those_that_there_are(page):
    targets = (ROOT / "Makefile").read_text()
    for words in commands(page):
        names = [word.removeprefix(".venv/bin/") for word in words]
        if "promerge" in names:
            check_promerge(names[names.index("promerge") + 1 :])
        elif names[0] == "python":
            assert names[1] == "-m" or (ROOT / names[1]).is_file(), words
        elif names[0] == "make":
            assert re.search(rf"^{names[1]}:", targets, re.MULTILINE), words
        elif names[0] == "pip":
            extras = re.findall(r"fiftyone-promerge\[(\w+)\]", " ".join(words))
            assert set(extras) <= set(project()["optional-dependencies"]), words
        else:
            assert names[0] in TOOLS, words


def check_promerge(words: list[str]) -> None:
    """Parses the arguments of `promerge` as it does itself, without looking for files."""
    from fiftyone_promerge.cli.command import main

    if words[0] in ("COMMAND", "--version"):
        return
    command = main.commands[words[0]]
    words = [word for word in words[1:] if word != "..."]
    values, rest, _ = command.make_parser(Context(command)).parse_args(list(words))
    assert not rest, words
    for parameter in command.params:
        value = values.get(parameter.name)
        if isinstance(parameter.type, Choice) and isinstance(value, str) and "$" not in value:
            parameter.type.convert(value, parameter, None)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
