"""The plugin's entry: FiftyOne runs this file and calls `register`.

It also runs it where only this folder was downloaded and nothing is installed; then the packages
beside it are used.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

if importlib.util.find_spec("fiftyone_promerge") is None:
    sys.path.append(str(Path(__file__).resolve().parents[1] / "fiftyone_promerge" / "_site"))


def register(plugin: Any) -> None:
    """Registers every operator and panel; see `fiftyone.plugins`."""
    from fiftyone_promerge.operators.registry import OPERATORS

    for operator in OPERATORS:
        plugin.register(operator)
