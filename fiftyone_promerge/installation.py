"""Puts the plugin of an installed package where FiftyOne looks for plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.plugins as fop
import yaml

from . import plugin
from .provenance import package_version


def install_plugin() -> Path | None:
    """Writes a plugin folder that refers to this package, unless FiftyOne has the plugin.

    Returns:
        the folder, or None where the plugin was there, enabled or not.
    """
    if any(one.name == plugin.NAME for one in fop.list_plugins(enabled="all")):
        return None
    folder = Path(fo.config.plugins_dir) / plugin.NAME
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from fiftyone_promerge.operators import register  # noqa: F401\n", encoding="utf-8"
    )
    (folder / "fiftyone.yml").write_text(yaml.safe_dump(definition()), encoding="utf-8")
    return folder


def definition() -> dict[str, Any]:
    """What `fiftyone.yml` says of the plugin's name, version, operators and panels."""
    return {
        "name": plugin.NAME,
        "version": package_version(),
        "operators": list(plugin.OPERATORS),
        "panels": list(plugin.PANELS),
    }
