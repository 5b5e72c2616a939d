"""Stands for this package where it is not installed: replaces itself by the real one."""

import importlib.util
import sys
from pathlib import Path

_folder = Path(__file__).resolve().parents[1]
_spec = importlib.util.spec_from_file_location(
    __name__, _folder / "__init__.py", submodule_search_locations=[str(_folder)]
)
sys.modules[__name__] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[__name__])
