"""`docs/promises.md` names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_test_of_the_page_exists():
    page = (ROOT / "docs" / "promises.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) == page.count("::") > 30
    for path, name in named:
        functions = ast.parse((ROOT / "tests" / path).read_text()).body
        assert name in {getattr(one, "name", None) for one in functions}, f"{path}::{name}"
    # Each row of a table but its heading and its line has a test.
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all("::" in row for row in rows if not row.startswith(("| promise", "|---")))
