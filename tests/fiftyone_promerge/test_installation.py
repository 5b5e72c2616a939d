"""The plugin of an installed package, and what its `fiftyone.yml` says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LIST = ("operators", "list")


def test_plugins_file_names_every_operator_and_panel(database):
    from fiftyone_promerge.installation import definition

    declared = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    assert {name: declared[name] for name in definition()} == definition()


def test_installed_package_can_install_its_plugin(database, tmp_path):
    environment = {**os.environ, "FIFTYONE_PLUGINS_DIR": str(tmp_path)}
    promerge = [sys.executable, "-c", "from fiftyone_promerge.cli import main; main()"]

    def run(*command):
        return subprocess.check_output(command, env=environment, text=True)

    assert "installed in" in run(*promerge, "install-plugin")
    listed = run(sys.executable, "-c", "from fiftyone.core.cli import main; main()", *LIST)
    assert "@promerge/promerge/generate_masks" in listed
    assert "there already" in run(*promerge, "install-plugin")
