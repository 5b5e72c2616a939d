"""Puts the plugin of an installed package where FiftyOne looks for plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.plugins as fop
import yaml

from fiftyone_promerge.provenance import package_version

from .registry import OPERATORS

NAME = "@promerge/promerge"


def install_plugin() -> Path | None:
    """Writes a plugin folder that refers to this package, unless FiftyOne has the plugin.

    Returns:
        the folder, or None where the plugin was there, enabled or not.
    """
    if any(plugin.name == NAME for plugin in fop.list_plugins(enabled="all")):
        return None
    folder = Path(fo.config.plugins_dir) / NAME
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from fiftyone_promerge.operators import register  # noqa: F401\n", encoding="utf-8"
    )
    (folder / "fiftyone.yml").write_text(yaml.safe_dump(definition()), encoding="utf-8")
    return folder


def definition() -> dict[str, Any]:
    """What `fiftyone.yml` says of the plugin's name, operators and panels."""
    panels = [issubclass(operator, foo.Panel) for operator in OPERATORS]
    names = [operator().config.name for operator in OPERATORS]
    return {
        "name": NAME,
        "version": package_version(),
        "operators": [n for n, is_panel in zip(names, panels, strict=True) if not is_panel],
        "panels": [n for n, is_panel in zip(names, panels, strict=True) if is_panel],
    }
