"""The page of options says what is declared."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_made_of_todays_declarations():
    spec = importlib.util.spec_from_file_location(
        "options_table", ROOT / "scripts" / "options_table.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == script.page(), (
        "run: python scripts/options_table.py docs/options.md"
    )
