"""Unsupervised instance segmentation in FiftyOne: ProMerge and its baselines."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import lazy_loader

# FiftyOne starts its database: each public name is imported when it is first used. The stub beside
# this file says where it is.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _SourceTree:
    """Finds the two parts of this package that stand beside it in a source tree."""

    _PARTS = (f"{__name__}.operators", f"{__name__}.training")

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in cls._PARTS:
            return None
        folder = Path(__file__).resolve().parents[1] / name.rpartition(".")[2]
        return importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


if not (Path(__file__).parent / "operators").is_dir():
    # First: another source tree may be installed, and its parts are not this one's.
    sys.meta_path.insert(0, _SourceTree)
