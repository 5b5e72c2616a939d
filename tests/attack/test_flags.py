"""Any text for any flag of the command: it ends in one sentence, and nothing is made."""

from __future__ import annotations

import pytest
import rich_click as click
from click.testing import CliRunner

from fiftyone_promerge.cli.command import main

TEXTS = [
    *("nan", "inf", "-inf", "1e999", "-1", "0", "1.5", "9" * 400, "-" + "9" * 400, "0x10", "1_000"),
    *("", " ", "abc", "None", "٣", "\udcff", "[/bold]", "a" * 5000, "/dev/zero", "/", "--"),
]
REQUIRED = {
    "generate": ["nowhere"],
    "evaluate": ["nowhere", "--fields", "masks"],
    "benchmark-data": ["nowhere"],
    "export": ["nowhere", "masks", "nowhere.json"],
    "import": ["nowhere", "masks", "nowhere.json"],
    "group": ["nowhere", "masks"],
    "spread": ["nowhere", "masks"],
    "train": ["nowhere", "--output", "run"],
    "predict": ["nowhere", "--checkpoint", "nowhere.pt"],
    "app": ["nowhere"],
}
FLAGS = [
    (name, option.opts[0])
    for name in REQUIRED
    for option in main.commands[name].params
    if isinstance(option, click.Option) and not option.is_flag
]


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_any_text_ends_in_one_sentence(command, flag, database, tmp_path, monkeypatch):
    import fiftyone as fo

    monkeypatch.chdir(tmp_path)
    before = fo.list_datasets()
    for text in TEXTS:
        result = CliRunner().invoke(main, [command, *REQUIRED[command], f"{flag}={text}"])
        assert isinstance(result.exception, SystemExit), (text, result.exception)
        assert result.exit_code in (1, 2), (text, result.output)
        assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
    assert fo.list_datasets() == before
